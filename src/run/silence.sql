-- One row for each claimed job, or one without a job; the same reports and server in all of them.
-- name: silence_look
SELECT j.id, j.lease, j.beat, j.grace_seconds, j.phase = 'apply' AND j.beat > 0 AS has_effects, n.forgotten_at IS NOT NULL AS forgotten, j.node_id,
       (SELECT coalesce(sum(reports), 0) FROM terrane.nodes)::bigint AS reports,
       pg_postmaster_start_time()::text || ' ' || coalesce(inet_server_addr()::text, '') || ' ' || (SELECT epoch FROM terrane.installation) AS server
  FROM (SELECT 1) one LEFT JOIN (terrane.jobs j JOIN terrane.nodes n ON n.id = j.node_id) ON j.status = 'claimed'

-- name: silence_mark
UPDATE terrane.jobs SET silent_since = clock_timestamp() WHERE id = $1 AND status = 'claimed' AND beat = $2 AND silent_since IS NULL
RETURNING run_id, node_id

-- name: silence_unmark
UPDATE terrane.jobs SET silent_since = NULL WHERE id = $1 AND beat <> $2 RETURNING run_id, node_id
