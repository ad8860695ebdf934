-- When the bytes of a deleted object were removed, so that the sweeper never looks at it again.
ALTER TABLE objects ADD COLUMN swept_at timestamptz;
CREATE INDEX objects_to_sweep ON objects (deleted_at) WHERE status = 'deleted' AND swept_at IS NULL;
CREATE INDEX objects_uploading ON objects (created_at) WHERE status = 'uploading' AND kind <> 'log';
