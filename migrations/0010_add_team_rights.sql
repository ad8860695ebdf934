-- What a team may do in its organization, and who sees that it exists.
ALTER TABLE teams
  ADD COLUMN visibility text NOT NULL DEFAULT 'secret' CHECK (visibility IN ('secret', 'organization')),
  ADD COLUMN sso_team_id text,
  ADD COLUMN allow_member_token_management boolean NOT NULL DEFAULT true,
  ADD COLUMN manage_policies boolean NOT NULL DEFAULT false,
  ADD COLUMN manage_policy_overrides boolean NOT NULL DEFAULT false,
  ADD COLUMN manage_workspaces boolean NOT NULL DEFAULT false,
  ADD COLUMN manage_vcs_settings boolean NOT NULL DEFAULT false,
  ADD COLUMN manage_providers boolean NOT NULL DEFAULT false,
  ADD COLUMN manage_modules boolean NOT NULL DEFAULT false,
  ADD COLUMN manage_run_tasks boolean NOT NULL DEFAULT false,
  ADD COLUMN manage_projects boolean NOT NULL DEFAULT false,
  ADD COLUMN read_workspaces boolean NOT NULL DEFAULT false,
  ADD COLUMN read_projects boolean NOT NULL DEFAULT false,
  ADD COLUMN manage_membership boolean NOT NULL DEFAULT false,
  ADD COLUMN manage_teams boolean NOT NULL DEFAULT false,
  ADD COLUMN manage_organization_access boolean NOT NULL DEFAULT false,
  ADD COLUMN access_secret_teams boolean NOT NULL DEFAULT false,
  ADD COLUMN manage_agent_pools boolean NOT NULL DEFAULT false;

-- What a team may do in one workspace. A fixed level is written out in the other columns, so that a question reads only these;
-- beyond them `admin` changes settings and deletes.
CREATE TABLE team_workspaces (
  id text PRIMARY KEY,
  team_id text NOT NULL REFERENCES teams ON DELETE CASCADE,
  workspace_id text NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  access text NOT NULL CHECK (access IN ('read', 'plan', 'write', 'admin', 'custom')),
  runs text NOT NULL CHECK (runs IN ('read', 'plan', 'apply')),
  variables text NOT NULL CHECK (variables IN ('none', 'read', 'write')),
  state_versions text NOT NULL CHECK (state_versions IN ('none', 'read-outputs', 'read', 'write')),
  sentinel_mocks text NOT NULL CHECK (sentinel_mocks IN ('none', 'read')),
  workspace_locking boolean NOT NULL,
  run_tasks boolean NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (team_id, workspace_id)
);
CREATE INDEX team_workspaces_workspace ON team_workspaces (workspace_id);

-- The same for a project and all workspaces in it.
CREATE TABLE team_projects (
  id text PRIMARY KEY,
  team_id text NOT NULL REFERENCES teams ON DELETE CASCADE,
  project_id text NOT NULL REFERENCES projects ON DELETE CASCADE,
  access text NOT NULL CHECK (access IN ('read', 'write', 'maintain', 'admin', 'custom')),
  settings text NOT NULL CHECK (settings IN ('read', 'update', 'delete')),
  teams text NOT NULL CHECK (teams IN ('none', 'read', 'manage')),
  variable_sets text NOT NULL CHECK (variable_sets IN ('none', 'read', 'write')),
  runs text NOT NULL CHECK (runs IN ('read', 'plan', 'apply')),
  variables text NOT NULL CHECK (variables IN ('none', 'read', 'write')),
  state_versions text NOT NULL CHECK (state_versions IN ('none', 'read-outputs', 'read', 'write')),
  sentinel_mocks text NOT NULL CHECK (sentinel_mocks IN ('none', 'read')),
  create_workspaces boolean NOT NULL,
  locking boolean NOT NULL,
  move_workspaces boolean NOT NULL,
  delete_workspaces boolean NOT NULL,
  run_tasks boolean NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (team_id, project_id)
);
CREATE INDEX team_projects_project ON team_projects (project_id);

-- The teams in whose name a principal acts: those of a user, and a team's token that one.
CREATE VIEW principal_teams AS
  SELECT 'user' AS kind, m.user_id AS id, m.team_id FROM team_members m
  UNION ALL
  SELECT 'team', t.id, t.id FROM teams t;

-- Who belongs to an organization. Who is in one of its teams does, whichever binary made that row.
CREATE TABLE organization_memberships (
  id text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'invited')),
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (organization_id, user_id)
);
CREATE INDEX organization_memberships_user ON organization_memberships (user_id);

CREATE FUNCTION make_membership() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  INSERT INTO terrane.organization_memberships (id, organization_id, user_id)
  SELECT 'ou-' || substr(translate(md5(random()::text || NEW.user_id || clock_timestamp()::text), '0', 'g'), 1, 16),
         t.organization_id, NEW.user_id
    FROM terrane.teams t WHERE t.id = NEW.team_id
  ON CONFLICT (organization_id, user_id) DO NOTHING;
  RETURN NULL;
END
$body$;
CREATE TRIGGER team_members_belong AFTER INSERT ON team_members FOR EACH ROW EXECUTE FUNCTION make_membership();

INSERT INTO organization_memberships (id, organization_id, user_id)
SELECT 'ou-' || substr(translate(md5(random()::text || m.user_id || t.organization_id), '0', 'g'), 1, 16), t.organization_id, m.user_id
  FROM team_members m JOIN teams t ON t.id = m.team_id GROUP BY t.organization_id, m.user_id;

ALTER TABLE tokens DROP CONSTRAINT IF EXISTS tokens_kind_check;
ALTER TABLE tokens ADD CONSTRAINT tokens_kind_check CHECK (kind IN ('user', 'organization', 'team', 'run', 'agent', 'audit-trails'));
-- A team has one token without a description and any number with different ones.
CREATE UNIQUE INDEX tokens_team_description ON tokens (owner_id, description) WHERE kind = 'team' AND description IS NOT NULL;
