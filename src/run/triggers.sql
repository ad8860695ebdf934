-- name: trigger_find
SELECT t.*, w.name AS workspace_name, s.name AS sourceable_name
  FROM terrane.run_triggers t JOIN terrane.workspaces w ON w.id = t.workspace_id JOIN terrane.workspaces s ON s.id = t.sourceable_id
 WHERE t.id = $1

-- name: trigger_list
SELECT t.*, w.name AS workspace_name, s.name AS sourceable_name
  FROM terrane.run_triggers t JOIN terrane.workspaces w ON w.id = t.workspace_id JOIN terrane.workspaces s ON s.id = t.sourceable_id
 WHERE CASE WHEN $2::boolean THEN t.workspace_id ELSE t.sourceable_id END = $1
 ORDER BY t.created_at, t.id LIMIT $3 OFFSET $4

-- name: trigger_count
SELECT count(*) AS total FROM terrane.run_triggers t WHERE CASE WHEN $2::boolean THEN t.workspace_id ELSE t.sourceable_id END = $1

-- name: trigger_insert
INSERT INTO terrane.run_triggers (id, workspace_id, sourceable_id) VALUES ($1, $2, $3)

-- name: trigger_delete
DELETE FROM terrane.run_triggers WHERE id = $1

-- name: triggered_fire
INSERT INTO terrane.triggered_runs (source_run_id, workspace_id)
SELECT $1, t.workspace_id FROM terrane.run_triggers t WHERE t.sourceable_id = $2 ON CONFLICT DO NOTHING

-- name: triggered_open
SELECT source_run_id, workspace_id FROM terrane.triggered_runs WHERE done_at IS NULL ORDER BY created_at LIMIT 100

-- name: triggered_take
UPDATE terrane.triggered_runs SET done_at = now() WHERE source_run_id = $1 AND workspace_id = $2 AND done_at IS NULL

-- name: triggered_source
SELECT w.name, r.epoch < (SELECT epoch FROM terrane.installation) AS past FROM terrane.runs r JOIN terrane.workspaces w ON w.id = r.workspace_id WHERE r.id = $1

-- name: triggered_auto_apply
SELECT auto_apply_run_trigger FROM terrane.workspaces WHERE id = $1

-- An applied plan of a provisional configuration makes it the workspace's own.
-- name: triggered_adopt_configuration
UPDATE terrane.workspaces w SET current_configuration_version_id = c.id
  FROM terrane.configuration_versions c WHERE c.id = $1 AND c.provisional AND w.id = c.workspace_id
