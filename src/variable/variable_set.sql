-- name: variable_set_find
SELECT s.id, o.name AS organization, s.project_id, s.name, s.description, s.global, s.priority, s.updated_at,
       ARRAY(SELECT l.workspace_id FROM terrane.variable_set_workspaces l WHERE l.variable_set_id = s.id ORDER BY 1) AS workspaces,
       ARRAY(SELECT l.project_id FROM terrane.variable_set_projects l WHERE l.variable_set_id = s.id ORDER BY 1) AS projects,
       ARRAY(SELECT v.id FROM terrane.variables v WHERE v.variable_set_id = s.id ORDER BY v.created_at, v.id) AS variables
  FROM terrane.variable_sets s JOIN terrane.organizations o ON o.id = s.organization_id
 WHERE s.id = $1

-- name: variable_set_list
SELECT s.id, o.name AS organization, s.project_id, s.name, s.description, s.global, s.priority, s.updated_at,
       ARRAY(SELECT l.workspace_id FROM terrane.variable_set_workspaces l WHERE l.variable_set_id = s.id ORDER BY 1) AS workspaces,
       ARRAY(SELECT l.project_id FROM terrane.variable_set_projects l WHERE l.variable_set_id = s.id ORDER BY 1) AS projects,
       ARRAY(SELECT v.id FROM terrane.variables v WHERE v.variable_set_id = s.id ORDER BY v.created_at, v.id) AS variables
  FROM terrane.variable_sets s JOIN terrane.organizations o ON o.id = s.organization_id
 WHERE (($2 = 'organization' AND s.organization_id = $1)
     OR ($2 = 'workspace' AND s.id IN (SELECT a.variable_set_id FROM terrane.workspace_variable_sets a WHERE a.workspace_id = $1))
     OR ($2 = 'project' AND (s.id IN (SELECT l.variable_set_id FROM terrane.variable_set_projects l WHERE l.project_id = $1)
                           OR (s.global AND s.organization_id = (SELECT p.organization_id FROM terrane.projects p WHERE p.id = $1)))))
   AND position(lower($3) IN lower(s.name)) > 0
 ORDER BY lower(s.name), s.id LIMIT $4 OFFSET $5

-- name: variable_set_count
SELECT count(*) AS total FROM terrane.variable_sets s
 WHERE (($2 = 'organization' AND s.organization_id = $1)
     OR ($2 = 'workspace' AND s.id IN (SELECT a.variable_set_id FROM terrane.workspace_variable_sets a WHERE a.workspace_id = $1))
     OR ($2 = 'project' AND (s.id IN (SELECT l.variable_set_id FROM terrane.variable_set_projects l WHERE l.project_id = $1)
                           OR (s.global AND s.organization_id = (SELECT p.organization_id FROM terrane.projects p WHERE p.id = $1)))))
   AND position(lower($3) IN lower(s.name)) > 0

-- Inserts nothing when the organization would have too many ($8).
-- name: variable_set_insert
INSERT INTO terrane.variable_sets (id, organization_id, project_id, name, description, global, priority)
SELECT $1, $2, $3, $4, $5, $6, $7
 WHERE (SELECT count(*) < $8 FROM terrane.variable_sets WHERE organization_id = $2)

-- name: variable_set_project
SELECT 1 AS found FROM terrane.projects WHERE id = $1 AND organization_id = $2

-- name: variable_set_update
UPDATE terrane.variable_sets SET name = $2, description = $3, global = $4, priority = $5, updated_at = now() WHERE id = $1

-- name: variable_set_delete
DELETE FROM terrane.variable_sets WHERE id = $1

-- name: variable_set_clear_workspaces
DELETE FROM terrane.variable_set_workspaces WHERE variable_set_id = $1

-- name: variable_set_clear_projects
DELETE FROM terrane.variable_set_projects WHERE variable_set_id = $1

-- How many of them the set can reach; the row stays locked until the end.
-- name: variable_set_reach_workspaces
SELECT count(*) AS reached FROM (
  SELECT w.id FROM terrane.variable_sets s
    JOIN terrane.workspaces w ON w.organization_id = s.organization_id AND (s.project_id IS NULL OR s.project_id = w.project_id)
   WHERE s.id = $1 AND w.id = ANY ($2::text[]) FOR UPDATE OF s) found

-- name: variable_set_reach_projects
SELECT count(*) AS reached FROM (
  SELECT p.id FROM terrane.variable_sets s
    JOIN terrane.projects p ON p.organization_id = s.organization_id AND (s.project_id IS NULL OR s.project_id = p.id)
   WHERE s.id = $1 AND p.id = ANY ($2::text[]) FOR UPDATE OF s) found

-- name: variable_set_apply_workspaces
INSERT INTO terrane.variable_set_workspaces (variable_set_id, workspace_id) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING

-- name: variable_set_apply_projects
INSERT INTO terrane.variable_set_projects (variable_set_id, project_id) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING

-- name: variable_set_unapply_workspaces
DELETE FROM terrane.variable_set_workspaces WHERE variable_set_id = $1 AND workspace_id = ANY ($2::text[])

-- name: variable_set_unapply_projects
DELETE FROM terrane.variable_set_projects WHERE variable_set_id = $1 AND project_id = ANY ($2::text[])

-- name: variable_set_applied
SELECT greatest((SELECT count(*) FROM terrane.variable_set_workspaces WHERE variable_set_id = $1),
                (SELECT count(*) FROM terrane.variable_set_projects WHERE variable_set_id = $1)) AS most
