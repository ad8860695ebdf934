-- How often a node has reported: who watches compares counters and needs nobody's clock. And when an operator declared it dead.
ALTER TABLE nodes ADD COLUMN reports bigint NOT NULL DEFAULT 0, ADD COLUMN forgotten_at timestamptz;
-- Since when the owner of a claimed job is silent, NULL while it is heard; and how long the shim was told that its workspace is kept, 0: for ever.
ALTER TABLE jobs ADD COLUMN silent_since timestamptz, ADD COLUMN grace_seconds bigint NOT NULL DEFAULT 0;
