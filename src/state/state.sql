-- name: state_version_find_many
SELECT s.*, CASE WHEN o.status = 'deleted' THEN 'backing_data_permanently_deleted' WHEN o.hidden_at IS NOT NULL THEN 'backing_data_soft_deleted' END AS backing,
       coalesce(j.status = 'live' AND j.hidden_at IS NULL, false) AS has_json
  FROM terrane.state_versions s JOIN terrane.objects o ON o.id = s.object_id LEFT JOIN terrane.objects j ON j.id = s.json_object_id
 WHERE s.id = ANY ($1::text[]) ORDER BY s.position DESC

-- name: state_version_list
SELECT s.*, CASE WHEN o.status = 'deleted' THEN 'backing_data_permanently_deleted' WHEN o.hidden_at IS NOT NULL THEN 'backing_data_soft_deleted' END AS backing,
       coalesce(j.status = 'live' AND j.hidden_at IS NULL, false) AS has_json
  FROM terrane.state_versions s JOIN terrane.objects o ON o.id = s.object_id LEFT JOIN terrane.objects j ON j.id = s.json_object_id
 WHERE s.workspace_id = $1 AND CASE WHEN $4::text IS NULL THEN s.status <> 'discarded' ELSE s.status = $4::text END
 ORDER BY s.position DESC LIMIT $2 OFFSET $3

-- name: state_version_count
SELECT count(*) AS total FROM terrane.state_versions s
 WHERE s.workspace_id = $1 AND CASE WHEN $2::text IS NULL THEN s.status <> 'discarded' ELSE s.status = $2::text END

-- name: state_version_insert
INSERT INTO terrane.state_versions (id, workspace_id, run_id, job_id, serial, lineage, md5, size, status, intermediate, recovered, object_id,
                                    json_object_id, created_by, finalized_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, CASE WHEN $9::text = 'finalized' THEN now() END)

-- name: state_run_of_workspace
SELECT 1 AS found FROM terrane.runs WHERE id = $1 AND workspace_id = $2

-- name: state_version_of_object
SELECT s.*, NULL::text AS backing, false AS has_json FROM terrane.state_versions s WHERE s.object_id = $1 OR s.json_object_id = $1

-- name: state_version_finalize
UPDATE terrane.state_versions SET status = 'finalized', size = $2, finalized_at = now() WHERE id = $1 AND status = 'pending'

-- name: state_version_discard
UPDATE terrane.state_versions SET status = 'discarded' WHERE id = $1 AND status = 'pending'

-- name: state_version_supersede
UPDATE terrane.state_versions SET status = 'discarded'
 WHERE workspace_id = $1 AND id <> $2 AND status = 'pending' AND NOT recovered AND position < (SELECT position FROM terrane.state_versions WHERE id = $2)

-- name: state_version_settle
UPDATE terrane.state_versions SET intermediate = false WHERE id = $1

-- name: state_version_wake_parser
SELECT pg_notify('terrane_states', '')

-- name: state_version_unparsed
SELECT id, object_id FROM terrane.state_versions WHERE status = 'finalized' AND NOT resources_processed ORDER BY position LIMIT 20

-- name: state_version_lock_unparsed
SELECT id FROM terrane.state_versions WHERE id = $1 AND NOT resources_processed FOR UPDATE

-- name: state_version_store_parsed
UPDATE terrane.state_versions SET resources_processed = true, terraform_version = $2, resources = $3::jsonb, parse_error = $4
 WHERE id = $1 AND NOT resources_processed

-- name: state_output_insert
INSERT INTO terrane.state_version_outputs (id, state_version_id, name, sensitive, type, detailed_type, sealed_value)
VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7) ON CONFLICT (state_version_id, name) DO NOTHING

-- name: state_outputs
SELECT * FROM terrane.state_version_outputs WHERE state_version_id = $1 ORDER BY name

-- name: state_output_find_many
SELECT o.*, s.workspace_id FROM terrane.state_version_outputs o JOIN terrane.state_versions s ON s.id = o.state_version_id
 WHERE o.id = ANY ($1::text[]) ORDER BY o.state_version_id, o.name

-- name: state_current_outputs
SELECT o.*, w.id AS workspace_id FROM terrane.workspaces w JOIN terrane.state_version_outputs o ON o.state_version_id = w.current_state_version_id
 WHERE w.id = ANY ($1::text[]) ORDER BY w.id, o.name

-- name: state_output_ids
SELECT id, state_version_id FROM terrane.state_version_outputs WHERE state_version_id = ANY ($1::text[]) ORDER BY name

-- name: state_outputs_delete
DELETE FROM terrane.state_version_outputs WHERE state_version_id = $1

-- name: state_version_forget_content
UPDATE terrane.state_versions SET resources = '[]' WHERE id = $1

-- name: state_version_set_rollback
UPDATE terrane.state_versions SET rollback_of = $2 WHERE id = $1

-- name: state_output_find
SELECT o.*, s.workspace_id FROM terrane.state_version_outputs o JOIN terrane.state_versions s ON s.id = o.state_version_id WHERE o.id = $1

-- name: state_workspace_by_names
SELECT w.id FROM terrane.workspaces w JOIN terrane.organizations o ON o.id = w.organization_id WHERE lower(o.name) = lower($1) AND w.name = $2

-- name: state_current_parsed
SELECT s.id, s.resources_processed FROM terrane.workspaces w LEFT JOIN terrane.state_versions s ON s.id = w.current_state_version_id WHERE w.id = $1
