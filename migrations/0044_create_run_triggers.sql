-- An applied run of one workspace (the source) queues a run in another.
CREATE TABLE run_triggers (
  id text PRIMARY KEY,
  workspace_id text NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  sourceable_id text NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (workspace_id, sourceable_id),
  CHECK (workspace_id <> sourceable_id)
);
CREATE INDEX run_triggers_sourceable ON run_triggers (sourceable_id);

-- What applied runs have set off. Written with the end of the run, when only its own workspace is locked, and done by background. It refers to
-- no workspace's row, since that would lock a second one.
CREATE TABLE triggered_runs (
  source_run_id text NOT NULL REFERENCES runs ON DELETE CASCADE,
  workspace_id text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  done_at timestamptz,
  PRIMARY KEY (source_run_id, workspace_id)
);
CREATE INDEX triggered_runs_open ON triggered_runs (created_at) WHERE done_at IS NULL;

ALTER TABLE workspaces ADD COLUMN IF NOT EXISTS auto_apply_run_trigger boolean NOT NULL DEFAULT false;
