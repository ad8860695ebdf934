-- Variables that several workspaces share. A set belongs to the organization or to one project.
CREATE TABLE variable_sets (
  id text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  project_id text REFERENCES projects ON DELETE CASCADE,
  name text NOT NULL,
  description text NOT NULL DEFAULT '',
  global boolean NOT NULL DEFAULT false,
  -- Its values win over everything else.
  priority boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX variable_sets_name ON variable_sets (organization_id, coalesce(project_id, ''), name);

CREATE TABLE variable_set_workspaces (
  variable_set_id text NOT NULL REFERENCES variable_sets ON DELETE CASCADE,
  workspace_id text NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  PRIMARY KEY (variable_set_id, workspace_id)
);
CREATE INDEX variable_set_workspaces_workspace ON variable_set_workspaces (workspace_id);

CREATE TABLE variable_set_projects (
  variable_set_id text NOT NULL REFERENCES variable_sets ON DELETE CASCADE,
  project_id text NOT NULL REFERENCES projects ON DELETE CASCADE,
  PRIMARY KEY (variable_set_id, project_id)
);
CREATE INDEX variable_set_projects_project ON variable_set_projects (project_id);

-- A variable is a workspace's or a set's.
ALTER TABLE variables ALTER COLUMN workspace_id DROP NOT NULL;
ALTER TABLE variables ADD COLUMN variable_set_id text REFERENCES variable_sets ON DELETE CASCADE;
ALTER TABLE variables ADD CONSTRAINT variables_one_owner CHECK (num_nonnulls(workspace_id, variable_set_id) = 1);
ALTER TABLE variables ADD CONSTRAINT variables_variable_set_id_category_key_key UNIQUE (variable_set_id, category, key);

-- Which sets apply to a workspace, and how they rank there: the smaller wins. A workspace's own variables rank 6.
CREATE VIEW workspace_variable_sets AS
SELECT a.workspace_id, a.variable_set_id, min(a.rank) AS rank
  FROM (
    SELECT w.id AS workspace_id, s.id AS variable_set_id, CASE WHEN s.priority THEN 1 ELSE 9 END AS rank
      FROM variable_sets s JOIN workspaces w ON w.organization_id = s.organization_id
     WHERE s.global AND s.project_id IS NULL
    UNION ALL
    SELECT w.id, s.id, CASE WHEN s.priority THEN 2 ELSE 8 END
      FROM variable_set_projects p JOIN variable_sets s ON s.id = p.variable_set_id JOIN workspaces w ON w.project_id = p.project_id
    UNION ALL
    SELECT w.id, s.id, CASE WHEN s.priority THEN 3 ELSE 7 END
      FROM variable_set_workspaces l JOIN variable_sets s ON s.id = l.variable_set_id JOIN workspaces w ON w.id = l.workspace_id
     WHERE s.project_id IS NULL OR s.project_id = w.project_id) a
 GROUP BY a.workspace_id, a.variable_set_id;

-- What a run of the workspace gets: of each category and key the one that wins. Among sets of equal rank that is the
-- one whose name comes first.
CREATE FUNCTION effective_variables(of_workspace text)
RETURNS TABLE (id text, owner_id text, key text, sealed_value text, category text, hcl boolean, sensitive boolean, description text,
               version_id text, created_at timestamptz, priority boolean)
LANGUAGE sql STABLE AS $body$
  SELECT DISTINCT ON (v.category, v.key)
         v.id, coalesce(v.workspace_id, v.variable_set_id), v.key, v.sealed_value, v.category, v.hcl, v.sensitive, v.description,
         v.version_id, v.created_at, v.rank < 6
    FROM (
      SELECT 6 AS rank, '' AS set_name, o.* FROM terrane.variables o WHERE o.workspace_id = of_workspace
      UNION ALL
      SELECT a.rank, s.name, o.*
        FROM terrane.workspace_variable_sets a JOIN terrane.variable_sets s ON s.id = a.variable_set_id
        JOIN terrane.variables o ON o.variable_set_id = s.id
       WHERE a.workspace_id = of_workspace) v
   ORDER BY v.category, v.key, v.rank, v.set_name COLLATE "C", v.variable_set_id
$body$;
