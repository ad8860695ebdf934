-- name: archivist_object
SELECT id, kind, workspace, status, size, md5, facts, hidden_at IS NOT NULL AS hidden, floor(extract(epoch FROM now()))::bigint AS now
  FROM terrane.objects WHERE id = $1

-- name: archivist_swept
UPDATE terrane.objects SET swept_at = now() WHERE id = $1 AND status = 'deleted'

-- name: archivist_deleted
SELECT id, kind FROM terrane.objects
 WHERE status = 'deleted' AND swept_at IS NULL AND deleted_at < now() - interval '1 hour' ORDER BY deleted_at LIMIT $1

-- name: archivist_give_up_uploads
UPDATE terrane.objects SET status = 'deleted', deleted_at = now()
 WHERE status = 'uploading' AND kind <> 'log' AND created_at < now() - interval '2 days'
