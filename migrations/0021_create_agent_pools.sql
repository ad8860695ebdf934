-- Groups of agents and who may use them. Agents bring themselves with a pool's token.
CREATE TABLE agent_pools (
  id text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  name text NOT NULL,
  organization_scoped boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (organization_id, name)
);

CREATE TABLE agent_pool_allowed_workspaces (
  agent_pool_id text NOT NULL REFERENCES agent_pools ON DELETE CASCADE,
  workspace_id text NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  PRIMARY KEY (agent_pool_id, workspace_id)
);
CREATE INDEX agent_pool_allowed_workspaces_workspace ON agent_pool_allowed_workspaces (workspace_id);

CREATE TABLE agent_pool_allowed_projects (
  agent_pool_id text NOT NULL REFERENCES agent_pools ON DELETE CASCADE,
  project_id text NOT NULL REFERENCES projects ON DELETE CASCADE,
  PRIMARY KEY (agent_pool_id, project_id)
);
CREATE INDEX agent_pool_allowed_projects_project ON agent_pool_allowed_projects (project_id);

CREATE TABLE agent_pool_excluded_workspaces (
  agent_pool_id text NOT NULL REFERENCES agent_pools ON DELETE CASCADE,
  workspace_id text NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  PRIMARY KEY (agent_pool_id, workspace_id)
);
CREATE INDEX agent_pool_excluded_workspaces_workspace ON agent_pool_excluded_workspaces (workspace_id);

ALTER TABLE workspaces ADD COLUMN agent_pool_id text REFERENCES agent_pools;
CREATE INDEX workspaces_agent_pool ON workspaces (agent_pool_id) WHERE agent_pool_id IS NOT NULL;

-- Tokens of pools. The list of kinds may have been widened before.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_constraint
              WHERE conrelid = 'tokens'::regclass AND conname = 'tokens_kind_check' AND pg_get_constraintdef(oid) NOT LIKE '%''agent''%') THEN
    ALTER TABLE tokens DROP CONSTRAINT tokens_kind_check;
    ALTER TABLE tokens ADD CONSTRAINT tokens_kind_check CHECK (kind IN ('user', 'organization', 'team', 'run', 'agent'));
  END IF;
END $$;
