-- Since when an object's bytes are soft deleted: no URL opens it, and it can be brought back until it is deleted.
ALTER TABLE objects ADD COLUMN hidden_at timestamptz;
