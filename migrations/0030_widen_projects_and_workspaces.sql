-- Where runs execute. A project and a workspace say so themselves or take it from above; the columns always hold what
-- is in force, so that nobody who reads them has to look above. What does not know the flag says it itself.
ALTER TABLE projects
  ADD COLUMN overwrites_execution_mode boolean NOT NULL DEFAULT false,
  ADD COLUMN default_execution_mode text NOT NULL DEFAULT 'remote',
  ADD COLUMN default_agent_pool_id text REFERENCES agent_pools,
  ADD COLUMN auto_destroy_activity_duration text;
CREATE INDEX projects_default_agent_pool ON projects (default_agent_pool_id) WHERE default_agent_pool_id IS NOT NULL;

ALTER TABLE workspaces
  ADD COLUMN overwrites_execution_mode boolean NOT NULL DEFAULT true,
  ADD COLUMN assessments_enabled boolean NOT NULL DEFAULT false,
  ADD COLUMN auto_apply_run_trigger boolean NOT NULL DEFAULT false,
  ADD COLUMN auto_destroy_at timestamptz,
  ADD COLUMN auto_destroy_activity_duration text,
  ADD COLUMN inherits_project_auto_destroy boolean NOT NULL DEFAULT true,
  ADD COLUMN project_remote_state boolean NOT NULL DEFAULT false,
  ADD COLUMN trigger_patterns text[] NOT NULL DEFAULT '{}',
  ADD CHECK (NOT (global_remote_state AND project_remote_state));
-- The order of lists; within a project, too.
CREATE INDEX workspaces_created ON workspaces (organization_id, created_at, id);
CREATE INDEX workspaces_project ON workspaces (project_id, created_at, id);

UPDATE projects p SET default_execution_mode = o.default_execution_mode, default_agent_pool_id = o.default_agent_pool_id
  FROM organizations o WHERE o.id = p.organization_id;

CREATE FUNCTION inherit_execution_of_organization() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  IF NOT NEW.overwrites_execution_mode THEN
    SELECT o.default_execution_mode, o.default_agent_pool_id INTO NEW.default_execution_mode, NEW.default_agent_pool_id
      FROM terrane.organizations o WHERE o.id = NEW.organization_id;
  END IF;
  RETURN NEW;
END $body$;
CREATE TRIGGER projects_inherit BEFORE INSERT OR UPDATE OF overwrites_execution_mode, default_execution_mode, default_agent_pool_id
  ON projects FOR EACH ROW EXECUTE FUNCTION inherit_execution_of_organization();

CREATE FUNCTION inherit_execution_of_project() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  IF NOT NEW.overwrites_execution_mode THEN
    SELECT p.default_execution_mode, p.default_agent_pool_id INTO NEW.execution_mode, NEW.agent_pool_id
      FROM terrane.projects p WHERE p.id = NEW.project_id;
  END IF;
  RETURN NEW;
END $body$;
CREATE TRIGGER workspaces_inherit BEFORE INSERT OR UPDATE OF project_id, overwrites_execution_mode, execution_mode, agent_pool_id
  ON workspaces FOR EACH ROW EXECUTE FUNCTION inherit_execution_of_project();

-- What changes above is written below: naming the column is what makes the row inherit again.
CREATE FUNCTION hand_down_execution_of_organization() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  UPDATE terrane.projects SET default_execution_mode = default_execution_mode
   WHERE organization_id = NEW.id AND NOT overwrites_execution_mode;
  RETURN NULL;
END $body$;
CREATE TRIGGER organizations_hand_down AFTER UPDATE OF default_execution_mode, default_agent_pool_id ON organizations FOR EACH ROW
  WHEN ((NEW.default_execution_mode, NEW.default_agent_pool_id) IS DISTINCT FROM (OLD.default_execution_mode, OLD.default_agent_pool_id))
  EXECUTE FUNCTION hand_down_execution_of_organization();

CREATE FUNCTION hand_down_execution_of_project() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  UPDATE terrane.workspaces SET execution_mode = execution_mode WHERE project_id = NEW.id AND NOT overwrites_execution_mode;
  RETURN NULL;
END $body$;
CREATE TRIGGER projects_hand_down AFTER UPDATE ON projects FOR EACH ROW
  WHEN ((NEW.default_execution_mode, NEW.default_agent_pool_id) IS DISTINCT FROM (OLD.default_execution_mode, OLD.default_agent_pool_id))
  EXECUTE FUNCTION hand_down_execution_of_project();

-- How long the old states and configurations of a workspace are kept; without a row the organization's policy holds.
CREATE TABLE workspace_retention_policies (
  id text PRIMARY KEY,
  workspace_id text NOT NULL UNIQUE REFERENCES workspaces ON DELETE CASCADE,
  -- NULL: nothing is ever deleted.
  delete_older_than_n_days bigint
);
