-- An upload URL may be used again while no run has been made of the configuration: the bytes go to an object of their own (next), which takes the
-- place of the first one when it is durable. The URL names that first one for good.
ALTER TABLE configuration_versions ADD COLUMN next_object_id text;
ALTER TABLE configuration_versions ADD COLUMN first_object_id text;
CREATE INDEX configuration_versions_next_object ON configuration_versions (next_object_id) WHERE next_object_id IS NOT NULL;
CREATE INDEX configuration_versions_first_object ON configuration_versions (first_object_id) WHERE first_object_id IS NOT NULL;
