-- name: workspace_find
SELECT w.*, o.name AS organization, coalesce(u.username, w.lock_owner) AS lock_owner_name,
       coalesce((SELECT jsonb_array_length(s.resources) FROM terrane.state_versions s WHERE s.id = w.current_state_version_id), 0) AS resource_count
  FROM terrane.workspaces w JOIN terrane.organizations o ON o.id = w.organization_id
  LEFT JOIN terrane.users u ON u.id = w.lock_owner AND w.lock_kind = 'users'
 WHERE w.id = $1

-- name: workspace_find_many
SELECT w.*, o.name AS organization, coalesce(u.username, w.lock_owner) AS lock_owner_name,
       coalesce((SELECT jsonb_array_length(s.resources) FROM terrane.state_versions s WHERE s.id = w.current_state_version_id), 0) AS resource_count
  FROM terrane.workspaces w JOIN terrane.organizations o ON o.id = w.organization_id
  LEFT JOIN terrane.users u ON u.id = w.lock_owner AND w.lock_kind = 'users'
 WHERE w.id = ANY ($1::text[])

-- name: workspace_lock_row
SELECT id FROM terrane.workspaces WHERE id = $1 FOR UPDATE

-- name: workspace_find_by_name
SELECT w.*, o.name AS organization, coalesce(u.username, w.lock_owner) AS lock_owner_name,
       coalesce((SELECT jsonb_array_length(s.resources) FROM terrane.state_versions s WHERE s.id = w.current_state_version_id), 0) AS resource_count
  FROM terrane.workspaces w JOIN terrane.organizations o ON o.id = w.organization_id
  LEFT JOIN terrane.users u ON u.id = w.lock_owner AND w.lock_kind = 'users'
 WHERE w.organization_id = $1 AND w.name = $2

-- name: workspace_list
SELECT w.*, o.name AS organization, coalesce(u.username, w.lock_owner) AS lock_owner_name,
       coalesce((SELECT jsonb_array_length(s.resources) FROM terrane.state_versions s WHERE s.id = w.current_state_version_id), 0) AS resource_count,
       count(*) OVER () AS total
  FROM terrane.workspaces w JOIN terrane.organizations o ON o.id = w.organization_id
  LEFT JOIN terrane.users u ON u.id = w.lock_owner AND w.lock_kind = 'users'
 WHERE w.organization_id = $1
   AND ($2::text IS NULL OR position(lower($2::text) IN lower(w.name)) > 0)
   AND ($3::text IS NULL OR w.project_id = $3::text)
   AND ($6::boolean OR w.id = $7 OR ($7 <> '' AND (w.global_remote_state OR EXISTS (
         SELECT FROM terrane.remote_state_consumers c WHERE c.workspace_id = w.id AND c.consumer_id = $7))))
 ORDER BY w.name LIMIT $4 OFFSET $5

-- name: workspace_count
SELECT count(*) AS total FROM terrane.workspaces w
 WHERE w.organization_id = $1
   AND ($2::text IS NULL OR position(lower($2::text) IN lower(w.name)) > 0)
   AND ($3::text IS NULL OR w.project_id = $3::text)
   AND ($4::boolean OR w.id = $5 OR ($5 <> '' AND (w.global_remote_state OR EXISTS (
         SELECT FROM terrane.remote_state_consumers c WHERE c.workspace_id = w.id AND c.consumer_id = $5))))

-- name: workspace_insert
INSERT INTO terrane.workspaces (id, organization_id, project_id, name, description, auto_apply, allow_destroy_plan, execution_mode,
    file_triggers_enabled, global_remote_state, queue_all_runs, source, source_name, source_url, speculative_enabled,
    structured_run_output_enabled, terraform_version, trigger_prefixes, working_directory)
SELECT $1, $2, coalesce($3, (SELECT id FROM terrane.projects WHERE organization_id = $2 AND is_default)), name, description, auto_apply,
    allow_destroy_plan, execution_mode, file_triggers_enabled, global_remote_state, queue_all_runs, source, source_name, source_url,
    speculative_enabled, structured_run_output_enabled, terraform_version, trigger_prefixes, working_directory
  FROM jsonb_populate_record(NULL::terrane.workspaces, $4::jsonb)

-- name: workspace_project_exists
SELECT 1 AS found FROM terrane.projects WHERE id = $1 AND organization_id = $2

-- name: workspace_update
UPDATE terrane.workspaces w
   SET (project_id, name, description, auto_apply, allow_destroy_plan, execution_mode, file_triggers_enabled, global_remote_state, queue_all_runs,
        source_name, source_url, speculative_enabled, structured_run_output_enabled, terraform_version, trigger_prefixes,
        working_directory, updated_at) =
       (SELECT p.project_id, p.name, p.description, p.auto_apply, p.allow_destroy_plan, p.execution_mode, p.file_triggers_enabled,
               p.global_remote_state, p.queue_all_runs, p.source_name, p.source_url, p.speculative_enabled,
               p.structured_run_output_enabled, p.terraform_version, p.trigger_prefixes, p.working_directory, now()
          FROM jsonb_populate_record(w, $2::jsonb) p)
 WHERE w.id = $1

-- name: workspace_current_state
SELECT s.resources_processed, s.parse_error FROM terrane.workspaces w JOIN terrane.state_versions s ON s.id = w.current_state_version_id
 WHERE w.id = $1

-- name: workspace_delete
DELETE FROM terrane.workspaces WHERE id = $1

-- name: workspace_delete_objects
UPDATE terrane.objects SET status = 'deleted', deleted_at = now() WHERE workspace_id = $1 AND status <> 'deleted'

-- An apply that executes keeps its workspace; a plan may end with it. The jobs are locked, so that none is handed out until the workspace is gone.
-- name: workspace_executing_run
SELECT j.run_id, j.phase
  FROM (SELECT run_id, phase, status FROM terrane.jobs WHERE workspace_id = $1 AND status IN ('queued', 'claimed') ORDER BY id FOR UPDATE) j
 WHERE j.status = 'claimed' AND j.phase = 'apply' LIMIT 1

-- What the lock's owner, a run, executes; a queued apply counts, since nothing asks for the lock again when it starts.
-- name: workspace_executing_owner
SELECT j.run_id, j.phase FROM terrane.jobs j JOIN terrane.workspaces w ON w.id = j.workspace_id
 WHERE w.id = $1 AND j.run_id = w.lock_owner AND (j.status = 'claimed' OR (j.status = 'queued' AND j.phase = 'apply')) LIMIT 1

-- name: workspace_set_lock
UPDATE terrane.workspaces SET lock_kind = $2, lock_owner = $3, lock_reason = $4, locked_at = now() WHERE id = $1

-- name: workspace_clear_lock
UPDATE terrane.workspaces SET lock_kind = NULL, lock_owner = NULL, lock_reason = NULL, locked_at = NULL
 WHERE id = $1 AND lock_kind = $2 AND lock_owner = $3

-- name: workspace_clear_any_lock
UPDATE terrane.workspaces SET lock_kind = NULL, lock_owner = NULL, lock_reason = NULL, locked_at = NULL WHERE id = $1

-- name: workspace_pending_upload
SELECT 1 AS found FROM terrane.state_versions
 WHERE workspace_id = $1 AND status = 'pending' AND NOT recovered AND created_at > now() - interval '1 hour' LIMIT 1

-- name: workspace_discard_pending_uploads
UPDATE terrane.state_versions SET status = 'discarded' WHERE workspace_id = $1 AND status = 'pending' AND job_id IS NULL

-- name: workspace_promote_states
UPDATE terrane.state_versions SET intermediate = false WHERE workspace_id = $1 AND status = 'finalized' AND intermediate
   AND id = (SELECT current_state_version_id FROM terrane.workspaces WHERE id = $1)

-- name: workspace_wake_queue
SELECT pg_notify('terrane_runs', $1)

-- name: workspace_set_current_run
UPDATE terrane.workspaces SET current_run_id = $2, latest_change_at = now() WHERE id = $1

-- name: workspace_set_current_state
UPDATE terrane.workspaces SET current_state_version_id = $2, latest_change_at = now() WHERE id = $1

-- name: workspace_set_current_configuration
UPDATE terrane.workspaces SET current_configuration_version_id = $2 WHERE id = $1

-- name: workspace_consumers
SELECT w.id, w.name FROM terrane.remote_state_consumers c JOIN terrane.workspaces w ON w.id = c.consumer_id WHERE c.workspace_id = $1 ORDER BY w.name

-- name: workspace_consumer_add
INSERT INTO terrane.remote_state_consumers (workspace_id, consumer_id)
SELECT $1, w.id FROM terrane.workspaces w WHERE w.id = $2 AND w.organization_id = $3 ON CONFLICT DO NOTHING

-- name: workspace_consumer_exists
SELECT 1 AS found FROM terrane.workspaces WHERE id = $1 AND organization_id = $2

-- name: workspace_consumer_remove
DELETE FROM terrane.remote_state_consumers WHERE workspace_id = $1 AND consumer_id = $2

-- name: workspace_consumers_clear
DELETE FROM terrane.remote_state_consumers WHERE workspace_id = $1
