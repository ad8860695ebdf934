-- name: project_find
SELECT p.id, p.name, p.description, p.is_default, p.created_at, o.name AS organization, o.default_execution_mode,
       (SELECT count(*) FROM terrane.workspaces w WHERE w.project_id = p.id) AS workspace_count
  FROM terrane.projects p JOIN terrane.organizations o ON o.id = p.organization_id
 WHERE p.id = $1

-- name: project_find_many
SELECT p.id, p.name, p.description, p.is_default, p.created_at, o.name AS organization, o.default_execution_mode,
       (SELECT count(*) FROM terrane.workspaces w WHERE w.project_id = p.id) AS workspace_count
  FROM terrane.projects p JOIN terrane.organizations o ON o.id = p.organization_id
 WHERE p.id = ANY ($1::text[]) ORDER BY lower(p.name), p.id

-- name: project_list
SELECT p.id, p.name, p.description, p.is_default, p.created_at, o.name AS organization, o.default_execution_mode,
       (SELECT count(*) FROM terrane.workspaces w WHERE w.project_id = p.id) AS workspace_count
  FROM terrane.projects p JOIN terrane.organizations o ON o.id = p.organization_id
 WHERE o.id = $1 AND (cardinality($2::text[]) = 0 OR p.name = ANY ($2)) AND position(lower($3) IN lower(p.name)) > 0
 ORDER BY lower(p.name), p.id LIMIT $4 OFFSET $5

-- name: project_count
SELECT count(*) AS total FROM terrane.projects p
 WHERE p.organization_id = $1 AND (cardinality($2::text[]) = 0 OR p.name = ANY ($2))
   AND position(lower($3) IN lower(p.name)) > 0

-- name: project_insert
INSERT INTO terrane.projects (id, organization_id, name, description, is_default) VALUES ($1, $2, $3, $4, $5)

-- name: project_update
UPDATE terrane.projects p SET name = n.name, description = n.description
  FROM (SELECT (jsonb_populate_record(old, $2)).* FROM terrane.projects old WHERE old.id = $1) n
 WHERE p.id = $1

-- name: project_delete
DELETE FROM terrane.projects WHERE id = $1
