-- name: object_insert
INSERT INTO terrane.objects (id, kind, workspace_id, workspace, facts) VALUES ($1, $2, $3, $3, $4)

-- name: object_insert_if_absent
INSERT INTO terrane.objects (id, kind, workspace_id, workspace) VALUES ($1, $2, $3, $3) ON CONFLICT (id) DO NOTHING

-- name: object_find
SELECT id, kind, workspace, status, size, md5, facts FROM terrane.objects WHERE id = $1

-- name: object_mark_live
UPDATE terrane.objects SET status = 'live', size = $2, md5 = $3, live_at = now() WHERE id = $1 AND status = 'uploading'

-- name: object_adopt
INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status, size, md5, live_at) VALUES ($1, $2, $3, $3, 'live', $4, $5, now())
ON CONFLICT (id) DO UPDATE SET status = 'live', size = $4, md5 = $5, live_at = now()
   WHERE terrane.objects.status = 'uploading' AND terrane.objects.kind = $2 AND terrane.objects.workspace = $3

-- name: object_mark_deleted
UPDATE terrane.objects SET status = 'deleted', deleted_at = now() WHERE id = $1 AND status <> 'deleted'

-- name: object_insert_unowned
INSERT INTO terrane.objects (id, kind, workspace) VALUES ($1, $2, $3)

-- name: object_lock_all
SELECT id, status, hidden_at IS NOT NULL AS hidden FROM terrane.objects WHERE id = ANY ($1::text[]) ORDER BY id FOR UPDATE

-- name: object_hide_all
UPDATE terrane.objects SET hidden_at = now() WHERE id = ANY ($1::text[]) AND status = 'live' AND hidden_at IS NULL

-- name: object_unhide_all
UPDATE terrane.objects SET hidden_at = NULL WHERE id = ANY ($1::text[]) AND status = 'live'

-- name: object_delete_all
UPDATE terrane.objects SET status = 'deleted', deleted_at = now() WHERE id = ANY ($1::text[]) AND status <> 'deleted'
