-- What is in force stands in workspace_facts, first, where it has the name of a column of the table. OFFSET 0 keeps PostgreSQL from
-- joining all workspaces before it looks for those that are wanted.
-- name: workspace_find
SELECT f.*, w.*, ARRAY(SELECT v.id FROM terrane.variables v WHERE v.workspace_id = w.id ORDER BY v.created_at, v.id) AS variables
  FROM terrane.workspaces w
 CROSS JOIN LATERAL (SELECT * FROM terrane.workspace_facts x WHERE x.workspace_id = w.id OFFSET 0) f WHERE w.id = $1

-- name: workspace_find_many
SELECT f.*, w.*, ARRAY(SELECT v.id FROM terrane.variables v WHERE v.workspace_id = w.id ORDER BY v.created_at, v.id) AS variables
  FROM terrane.workspaces w
 CROSS JOIN LATERAL (SELECT * FROM terrane.workspace_facts x WHERE x.workspace_id = w.id OFFSET 0) f
 WHERE w.id = ANY ($1::text[])

-- name: workspace_find_by_name
SELECT f.*, w.*, ARRAY(SELECT v.id FROM terrane.variables v WHERE v.workspace_id = w.id ORDER BY v.created_at, v.id) AS variables
  FROM terrane.workspaces w
 CROSS JOIN LATERAL (SELECT * FROM terrane.workspace_facts x WHERE x.workspace_id = w.id OFFSET 0) f
 WHERE w.organization_id = $1 AND w.name = $2

-- name: workspace_lock_row
SELECT id FROM terrane.workspaces WHERE id = $1 FOR UPDATE

-- Lists find the ids of a page first and read what is shown by workspace_find_many: each is planned once and for good.
-- The usual list: all that the caller may see, perhaps of one project, the oldest first. It reads no more rows than the page has.
-- name: workspace_list
SELECT w.id FROM terrane.workspaces w
 WHERE w.organization_id = $1 AND ($2::text IS NULL OR w.project_id = $2::text)
   AND ($3::boolean OR w.project_id = ANY ($4::text[]) OR w.id = ANY ($5::text[]))
 ORDER BY w.created_at, w.id LIMIT $6 OFFSET $7

-- The same by name.
-- name: workspace_list_by_name
SELECT w.id FROM terrane.workspaces w
 WHERE w.organization_id = $1 AND ($2::text IS NULL OR w.project_id = $2::text)
   AND ($3::boolean OR w.project_id = ANY ($4::text[]) OR w.id = ANY ($5::text[]))
 ORDER BY w.name LIMIT $6 OFFSET $7

-- How many the usual list has for those who see all.
-- name: workspace_total
SELECT coalesce(sum(workspaces), 0)::bigint AS total FROM terrane.workspace_counts
 WHERE organization_id = $1 AND ($2::text IS NULL OR project_id = $2::text)

-- The list with everything that can be searched for. $12: name, run (the time of the current run) or change (that of the latest
-- change), each perhaps with a - before it, or nothing.
-- name: workspace_search
SELECT w.id
  FROM terrane.workspaces w LEFT JOIN terrane.runs r ON r.id = w.current_run_id
 WHERE w.organization_id = $1 AND ($2::text IS NULL OR w.project_id = $2::text)
   AND ($3::boolean OR w.project_id = ANY ($4::text[]) OR w.id = ANY ($5::text[]))
   AND ($6::text IS NULL OR position(lower($6::text) IN lower(w.name)) > 0)
   AND ($7::text IS NULL OR w.name ILIKE $7::text)
   AND ($8::text[] IS NULL OR r.status = ANY ($8::text[]))
   AND (cardinality($9::text[]) = 0 OR w.id IN (
         SELECT x.workspace_id FROM terrane.tags g JOIN terrane.workspace_tags x ON x.tag_id = g.id
          WHERE g.organization_id = $1 AND g.name = ANY ($9::text[]) GROUP BY x.workspace_id
         HAVING count(*) = (SELECT count(DISTINCT wanted) FROM unnest($9::text[]) AS wanted)))
   AND (cardinality($10::text[]) = 0 OR w.id NOT IN (
         SELECT x.workspace_id FROM terrane.tags g JOIN terrane.workspace_tags x ON x.tag_id = g.id
          WHERE g.organization_id = $1 AND g.name = ANY ($10::text[])))
   AND ($11::jsonb = '[]' OR NOT EXISTS (
         SELECT FROM jsonb_to_recordset($11::jsonb) AS wanted (key text, value text)
          WHERE NOT EXISTS (SELECT FROM terrane.workspace_effective_tags t
                             WHERE t.workspace_id = w.id AND t.key = wanted.key AND (wanted.value IS NULL OR t.value = wanted.value))))
 ORDER BY CASE WHEN $12 = 'name' THEN w.name END, CASE WHEN $12 = '-name' THEN w.name END DESC,
          CASE WHEN $12 = 'run' THEN r.created_at END NULLS LAST, CASE WHEN $12 = '-run' THEN r.created_at END DESC NULLS LAST,
          CASE WHEN $12 = 'change' THEN w.latest_change_at END, CASE WHEN $12 = '-change' THEN w.latest_change_at END DESC,
          w.created_at, w.id LIMIT $13 OFFSET $14

-- name: workspace_search_count
SELECT count(*) AS total
  FROM terrane.workspaces w LEFT JOIN terrane.runs r ON r.id = w.current_run_id
 WHERE w.organization_id = $1 AND ($2::text IS NULL OR w.project_id = $2::text)
   AND ($3::boolean OR w.project_id = ANY ($4::text[]) OR w.id = ANY ($5::text[]))
   AND ($6::text IS NULL OR position(lower($6::text) IN lower(w.name)) > 0)
   AND ($7::text IS NULL OR w.name ILIKE $7::text)
   AND ($8::text[] IS NULL OR r.status = ANY ($8::text[]))
   AND (cardinality($9::text[]) = 0 OR w.id IN (
         SELECT x.workspace_id FROM terrane.tags g JOIN terrane.workspace_tags x ON x.tag_id = g.id
          WHERE g.organization_id = $1 AND g.name = ANY ($9::text[]) GROUP BY x.workspace_id
         HAVING count(*) = (SELECT count(DISTINCT wanted) FROM unnest($9::text[]) AS wanted)))
   AND (cardinality($10::text[]) = 0 OR w.id NOT IN (
         SELECT x.workspace_id FROM terrane.tags g JOIN terrane.workspace_tags x ON x.tag_id = g.id
          WHERE g.organization_id = $1 AND g.name = ANY ($10::text[])))
   AND ($11::jsonb = '[]' OR NOT EXISTS (
         SELECT FROM jsonb_to_recordset($11::jsonb) AS wanted (key text, value text)
          WHERE NOT EXISTS (SELECT FROM terrane.workspace_effective_tags t
                             WHERE t.workspace_id = w.id AND t.key = wanted.key AND (wanted.value IS NULL OR t.value = wanted.value))))

-- name: workspace_insert
INSERT INTO terrane.workspaces (id, organization_id, project_id, name, description, assessments_enabled, auto_apply, auto_apply_run_trigger,
    allow_destroy_plan, auto_destroy_at, auto_destroy_activity_duration, inherits_project_auto_destroy, execution_mode, agent_pool_id,
    overwrites_execution_mode, file_triggers_enabled, global_remote_state, project_remote_state, queue_all_runs, source, source_name,
    source_url, speculative_enabled, structured_run_output_enabled, terraform_version, trigger_prefixes, trigger_patterns, working_directory)
SELECT $1, $2, $3, p.name, p.description, p.assessments_enabled, p.auto_apply, p.auto_apply_run_trigger,
    p.allow_destroy_plan, p.auto_destroy_at, p.auto_destroy_activity_duration, p.inherits_project_auto_destroy, p.execution_mode, p.agent_pool_id,
    p.overwrites_execution_mode, p.file_triggers_enabled, p.global_remote_state, p.project_remote_state, p.queue_all_runs, p.source, p.source_name,
    p.source_url, p.speculative_enabled, p.structured_run_output_enabled, p.terraform_version, p.trigger_prefixes, p.trigger_patterns,
    p.working_directory
  FROM jsonb_populate_record(NULL::terrane.workspaces, $4::jsonb) p

-- name: workspace_project_exists
SELECT 1 AS found FROM terrane.projects WHERE id = $1 AND organization_id = $2

-- name: workspace_update
UPDATE terrane.workspaces w
   SET (project_id, name, description, assessments_enabled, auto_apply, auto_apply_run_trigger, allow_destroy_plan, auto_destroy_at,
        auto_destroy_activity_duration, inherits_project_auto_destroy, execution_mode, agent_pool_id, overwrites_execution_mode,
        file_triggers_enabled, global_remote_state, project_remote_state, queue_all_runs, source_name, source_url, speculative_enabled,
        structured_run_output_enabled, terraform_version, trigger_prefixes, trigger_patterns, working_directory, updated_at) =
       (SELECT p.project_id, p.name, p.description, p.assessments_enabled, p.auto_apply, p.auto_apply_run_trigger, p.allow_destroy_plan,
               p.auto_destroy_at, p.auto_destroy_activity_duration, p.inherits_project_auto_destroy, p.execution_mode, p.agent_pool_id,
               p.overwrites_execution_mode, p.file_triggers_enabled, p.global_remote_state, p.project_remote_state, p.queue_all_runs,
               p.source_name, p.source_url, p.speculative_enabled, p.structured_run_output_enabled, p.terraform_version,
               p.trigger_prefixes, p.trigger_patterns, p.working_directory, now()
          FROM jsonb_populate_record(w, $2::jsonb) p)
 WHERE w.id = $1

-- name: workspace_lock_rows
SELECT id FROM terrane.workspaces WHERE id = ANY ($1::text[]) ORDER BY id FOR UPDATE

-- name: workspace_move
UPDATE terrane.workspaces SET project_id = $2, updated_at = now() WHERE id = ANY ($1::text[]) AND project_id <> $2

-- The instances of the resources of the current state, one row each.
-- name: workspace_resources
SELECT s.id AS state_version_id, s.created_at, r.number, k.number AS instance, r.resource, k.key
  FROM terrane.workspaces w
  JOIN terrane.state_versions s ON s.id = w.current_state_version_id
 CROSS JOIN LATERAL jsonb_array_elements(s.resources) WITH ORDINALITY AS r (resource, number)
 CROSS JOIN LATERAL (
       SELECT i.number, r.resource -> 'keys' -> (i.number - 1)::int AS key
         FROM generate_series(1, coalesce((r.resource ->> 'count')::bigint, 1)) AS i (number)) k
 WHERE w.id = $1 ORDER BY r.number, k.number LIMIT $2 OFFSET $3

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

-- Who may read the state, as far as the caller may see them: those of the project, or those that were named.
-- name: workspace_consumers
SELECT c.id FROM terrane.workspaces o
  JOIN terrane.workspaces c ON c.organization_id = o.organization_id AND c.id <> o.id
   AND (CASE WHEN o.project_remote_state THEN c.project_id = o.project_id
             ELSE EXISTS (SELECT FROM terrane.remote_state_consumers r WHERE r.workspace_id = o.id AND r.consumer_id = c.id) END)
 WHERE o.id = $1 AND ($2::boolean OR c.project_id = ANY ($3::text[]) OR c.id = ANY ($4::text[]))
 ORDER BY c.name LIMIT $5 OFFSET $6

-- name: workspace_consumers_count
SELECT count(*) AS total FROM terrane.workspaces o
  JOIN terrane.workspaces c ON c.organization_id = o.organization_id AND c.id <> o.id
   AND (CASE WHEN o.project_remote_state THEN c.project_id = o.project_id
             ELSE EXISTS (SELECT FROM terrane.remote_state_consumers r WHERE r.workspace_id = o.id AND r.consumer_id = c.id) END)
 WHERE o.id = $1 AND ($2::boolean OR c.project_id = ANY ($3::text[]) OR c.id = ANY ($4::text[]))

-- name: workspace_consumer_add
INSERT INTO terrane.remote_state_consumers (workspace_id, consumer_id)
SELECT $1, w.id FROM terrane.workspaces w WHERE w.id = $2 AND w.organization_id = $3 ON CONFLICT DO NOTHING

-- name: workspace_consumer_exists
SELECT 1 AS found FROM terrane.workspaces WHERE id = $1 AND organization_id = $2

-- name: workspace_consumer_remove
DELETE FROM terrane.remote_state_consumers WHERE workspace_id = $1 AND consumer_id = $2

-- name: workspace_consumers_clear
DELETE FROM terrane.remote_state_consumers WHERE workspace_id = $1
