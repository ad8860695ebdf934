-- name: tag_bindings_of
SELECT b.id, coalesce(b.project_id, b.workspace_id) AS owner, b.key, b.value, NULL::text AS inherited_from FROM terrane.tag_bindings b
 WHERE b.project_id = ANY ($1::text[]) OR b.workspace_id = ANY ($1::text[]) ORDER BY b.position

-- name: tag_binding_set_project
INSERT INTO terrane.tag_bindings (id, project_id, key, value) VALUES ($1, $2, $3, $4)
ON CONFLICT (project_id, key) DO UPDATE SET value = excluded.value

-- name: tag_binding_set_workspace
INSERT INTO terrane.tag_bindings (id, workspace_id, key, value) VALUES ($1, $2, $3, $4)
ON CONFLICT (workspace_id, key) DO UPDATE SET value = excluded.value

-- name: tag_bindings_clear
DELETE FROM terrane.tag_bindings WHERE project_id = $1 OR workspace_id = $1
