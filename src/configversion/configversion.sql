-- name: configuration_version_insert
INSERT INTO terrane.configuration_versions (id, workspace_id, speculative, provisional, auto_queue_runs, object_id, created_by, registry_module_id, status_timestamps)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '{}')

-- name: configuration_version_find_many
SELECT c.*, CASE WHEN o.status = 'deleted' THEN 'backing_data_permanently_deleted' WHEN o.hidden_at IS NOT NULL THEN 'backing_data_soft_deleted' END AS backing
  FROM terrane.configuration_versions c JOIN terrane.objects o ON o.id = c.object_id WHERE c.id = ANY ($1::text[]) ORDER BY c.id

-- name: configuration_version_id_of_run
SELECT configuration_version_id AS id FROM terrane.runs WHERE id = $1

-- name: configuration_version_list
SELECT c.*, CASE WHEN o.status = 'deleted' THEN 'backing_data_permanently_deleted' WHEN o.hidden_at IS NOT NULL THEN 'backing_data_soft_deleted' END AS backing
  FROM terrane.configuration_versions c JOIN terrane.objects o ON o.id = c.object_id
 WHERE c.workspace_id = $1 ORDER BY c.created_at DESC, c.id LIMIT $2 OFFSET $3

-- name: configuration_version_count
SELECT count(*) AS total FROM terrane.configuration_versions WHERE workspace_id = $1

-- A provisional version counts when it was applied, which made it the workspace's current one.
-- name: configuration_version_latest
SELECT c.*, NULL::text AS backing
  FROM terrane.configuration_versions c JOIN terrane.objects o ON o.id = c.object_id JOIN terrane.workspaces w ON w.id = c.workspace_id
 WHERE c.workspace_id = $1 AND c.status = 'uploaded' AND o.status <> 'deleted' AND o.hidden_at IS NULL AND NOT c.speculative
   AND (NOT c.provisional OR c.id = w.current_configuration_version_id)
 ORDER BY c.created_at DESC LIMIT 1

-- name: configuration_version_of_object
SELECT c.*, NULL::text AS backing FROM terrane.configuration_versions c WHERE c.object_id = $1

-- name: configuration_version_mark_uploaded
UPDATE terrane.configuration_versions c
   SET status = 'uploaded', status_timestamps = status_timestamps || jsonb_build_object('uploaded-at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'))
 WHERE c.object_id = $1 AND c.status = 'pending' RETURNING c.*, NULL::text AS backing

-- name: configuration_version_make_current
UPDATE terrane.workspaces w SET current_configuration_version_id = $2
 WHERE w.id = $1 AND NOT EXISTS (
   SELECT FROM terrane.configuration_versions now, terrane.configuration_versions given
    WHERE now.id = w.current_configuration_version_id AND given.id = $2 AND now.created_at > given.created_at)

-- name: configuration_version_open_run
SELECT id FROM terrane.runs
 WHERE configuration_version_id = $1
   AND status NOT IN ('applied', 'planned_and_finished', 'discarded', 'errored', 'canceled', 'policy_soft_failed') LIMIT 1

-- name: configuration_version_archive
UPDATE terrane.configuration_versions
   SET status = 'archived', status_timestamps = status_timestamps || jsonb_build_object('archived-at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'))
 WHERE id = $1

-- What has been uploaded, and no run was made of, may be uploaded again as long as the URL lives.
-- name: configuration_version_uploadable_again
SELECT c.id, o.workspace_id, o.workspace FROM terrane.configuration_versions c JOIN terrane.objects o ON o.id = c.object_id
 WHERE (c.object_id = $1 OR c.first_object_id = $1) AND c.status = 'uploaded' AND o.status = 'live' AND o.hidden_at IS NULL
   AND to_timestamp($2::bigint) > now() AND NOT EXISTS (SELECT FROM terrane.runs r WHERE r.configuration_version_id = c.id)
   FOR UPDATE OF c

-- name: configuration_version_set_next
UPDATE terrane.configuration_versions SET next_object_id = $2 WHERE id = $1

-- name: configuration_version_of_next
SELECT id FROM terrane.configuration_versions WHERE next_object_id = $1 FOR UPDATE

-- name: configuration_version_replace
WITH old AS (SELECT id, object_id FROM terrane.configuration_versions WHERE id = $1)
UPDATE terrane.configuration_versions c
   SET object_id = c.next_object_id, next_object_id = NULL, first_object_id = coalesce(c.first_object_id, c.object_id)
  FROM old
 WHERE c.id = old.id AND c.status = 'uploaded' AND NOT EXISTS (SELECT FROM terrane.runs r WHERE r.configuration_version_id = c.id)
RETURNING c.*, NULL::text AS backing, old.object_id AS replaced
