-- Of objects in the store those whose bytes came after what the database knows: without a row, or with one that never heard of them. What
-- began since the database went back is none of them.
-- name: recovery_unknown
SELECT given.id FROM unnest($1::text[]) AS given (id) LEFT JOIN terrane.objects o ON o.id = given.id
 WHERE (o.id IS NULL OR (o.kind = 'state' AND o.status IN ('uploading', 'live') AND o.created_at < (SELECT max(raised_at) FROM terrane.epochs)))
   AND NOT EXISTS (SELECT 1 FROM terrane.state_versions s WHERE s.object_id = given.id AND (s.status <> 'pending' OR o.status = 'live'))
 ORDER BY given.id

-- name: recovery_insert
INSERT INTO terrane.state_versions (id, workspace_id, run_id, serial, lineage, md5, size, status, recovered, object_id, created_at, finalized_at)
VALUES ($1, $2, (SELECT id FROM terrane.runs WHERE id = $3 AND workspace_id = $2), $4, $5, $6, $7, 'finalized', true, $8,
        least(coalesce($9, now()), now()), now())

-- name: recovery_keep_pending
UPDATE terrane.state_versions SET status = CASE WHEN md5 = $2 THEN 'finalized' ELSE 'discarded' END, recovered = true, size = $3, finalized_at = now()
 WHERE id = $1 AND status = 'pending'
