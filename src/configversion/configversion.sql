-- name: configuration_version_insert
INSERT INTO terrane.configuration_versions (id, workspace_id, speculative, provisional, auto_queue_runs, object_id, created_by, status_timestamps)
VALUES ($1, $2, $3, $4, $5, $6, $7, '{}')

-- name: configuration_version_find
SELECT * FROM terrane.configuration_versions WHERE id = $1

-- name: configuration_version_find_many
SELECT * FROM terrane.configuration_versions WHERE id = ANY ($1::text[]) ORDER BY created_at DESC, id

-- name: configuration_version_list
SELECT *, count(*) OVER () AS total FROM terrane.configuration_versions WHERE workspace_id = $1 ORDER BY created_at DESC, id LIMIT $2 OFFSET $3

-- name: configuration_version_count
SELECT count(*) AS total FROM terrane.configuration_versions WHERE workspace_id = $1

-- name: configuration_version_latest
SELECT * FROM terrane.configuration_versions
 WHERE workspace_id = $1 AND status = 'uploaded' AND NOT provisional AND NOT speculative ORDER BY created_at DESC LIMIT 1

-- name: configuration_version_of_object
SELECT * FROM terrane.configuration_versions WHERE object_id = $1

-- name: configuration_version_mark_uploaded
UPDATE terrane.configuration_versions
   SET status = 'uploaded', status_timestamps = status_timestamps || jsonb_build_object('uploaded-at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'))
 WHERE object_id = $1 AND status = 'pending' RETURNING *
