-- What is known of an object before its bytes come and stands in their authenticated header: of a state its lineage, serial and md5.
ALTER TABLE objects ADD COLUMN facts jsonb NOT NULL DEFAULT '{}';
-- How far the blob store has been looked through for states that the database of this epoch does not know, and when that was done.
ALTER TABLE epochs ADD COLUMN states_after text NOT NULL DEFAULT '', ADD COLUMN states_recovered_at timestamptz;
