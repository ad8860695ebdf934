-- Which version's bytes a version has taken over.
ALTER TABLE state_versions ADD COLUMN rollback_of text;
