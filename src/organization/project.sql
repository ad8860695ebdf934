-- name: project_find_many
SELECT p.*, o.name AS organization,
       coalesce((SELECT sum(c.workspaces) FROM terrane.workspace_counts c WHERE c.organization_id = p.organization_id AND c.project_id = p.id), 0)::bigint
         AS workspace_count,
       (SELECT count(*) FROM terrane.team_projects t WHERE t.project_id = p.id) AS team_count
  FROM terrane.projects p JOIN terrane.organizations o ON o.id = p.organization_id
 WHERE p.id = ANY ($1::text[]) ORDER BY lower(p.name), p.id

-- name: project_list
SELECT p.*, o.name AS organization,
       coalesce((SELECT sum(c.workspaces) FROM terrane.workspace_counts c WHERE c.organization_id = p.organization_id AND c.project_id = p.id), 0)::bigint
         AS workspace_count,
       (SELECT count(*) FROM terrane.team_projects t WHERE t.project_id = p.id) AS team_count
  FROM terrane.projects p JOIN terrane.organizations o ON o.id = p.organization_id
 WHERE p.organization_id = $1 AND (cardinality($2::text[]) = 0 OR p.name = ANY ($2)) AND position(lower($3) IN lower(p.name)) > 0
   AND ($4::boolean OR p.id = ANY ($5::text[]))
   AND NOT EXISTS (
         SELECT FROM jsonb_to_recordset($6::jsonb) AS wanted (key text, value text)
          WHERE NOT EXISTS (SELECT FROM terrane.tag_bindings b
                             WHERE b.project_id = p.id AND b.key = wanted.key AND (wanted.value IS NULL OR b.value = wanted.value)))
 ORDER BY CASE WHEN $7::boolean THEN NULL ELSE lower(p.name) END, CASE WHEN $7::boolean THEN lower(p.name) END DESC, p.id LIMIT $8 OFFSET $9

-- name: project_count
SELECT count(*) AS total FROM terrane.projects p
 WHERE p.organization_id = $1 AND (cardinality($2::text[]) = 0 OR p.name = ANY ($2)) AND position(lower($3) IN lower(p.name)) > 0
   AND ($4::boolean OR p.id = ANY ($5::text[]))
   AND NOT EXISTS (
         SELECT FROM jsonb_to_recordset($6::jsonb) AS wanted (key text, value text)
          WHERE NOT EXISTS (SELECT FROM terrane.tag_bindings b
                             WHERE b.project_id = p.id AND b.key = wanted.key AND (wanted.value IS NULL OR b.value = wanted.value)))

-- name: project_insert
INSERT INTO terrane.projects (id, organization_id, name, description, is_default, auto_destroy_activity_duration,
                              overwrites_execution_mode, default_execution_mode, default_agent_pool_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: project_update
UPDATE terrane.projects p
   SET (name, description, auto_destroy_activity_duration, overwrites_execution_mode, default_execution_mode, default_agent_pool_id) =
       (SELECT n.name, n.description, n.auto_destroy_activity_duration, n.overwrites_execution_mode, n.default_execution_mode,
               n.default_agent_pool_id FROM jsonb_populate_record(p, $2::jsonb) n)
 WHERE p.id = $1

-- name: project_lock
SELECT id FROM terrane.projects WHERE id = $1 FOR NO KEY UPDATE

-- name: project_delete
DELETE FROM terrane.projects WHERE id = $1
