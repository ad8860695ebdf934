-- name: job_insert
INSERT INTO terrane.jobs (id, run_id, workspace_id, phase, attempt, priority, position, epoch, log_segment)
VALUES ($1, $2, $3, $4, (SELECT coalesce(max(attempt), 0) + 1 FROM terrane.jobs WHERE run_id = $2 AND phase = $4), $5, $6,
        (SELECT epoch FROM terrane.installation), $7)

-- name: job_next
SELECT j.id, j.run_id FROM terrane.jobs j JOIN terrane.runs r ON r.id = j.run_id
 WHERE j.status = 'queued' AND j.epoch = (SELECT epoch FROM terrane.installation)
 ORDER BY j.priority, j.position LIMIT 1 FOR UPDATE OF r SKIP LOCKED

-- A run's row is also locked for a moment by what is no claim, e.g. when its request has been answered: such a job is waited for.
-- name: job_next_locked
SELECT j.id, j.run_id FROM terrane.jobs j JOIN terrane.runs r ON r.id = j.run_id
 WHERE j.status = 'queued' AND j.epoch = (SELECT epoch FROM terrane.installation)
 ORDER BY j.priority, j.position LIMIT 1 FOR UPDATE OF r

-- name: job_claim
UPDATE terrane.jobs SET status = 'claimed', lease = $2, node_id = $3, grace_seconds = $4, claimed_at = clock_timestamp() WHERE id = $1 AND status = 'queued' RETURNING *

-- name: job_find
SELECT * FROM terrane.jobs WHERE id = $1

-- name: job_lock_row
SELECT * FROM terrane.jobs WHERE id = $1 FOR UPDATE

-- name: job_beat
UPDATE terrane.jobs SET beat = greatest(beat, $3), silent_since = NULL WHERE id = $1 AND lease = $2 AND status = 'claimed' AND node_id = $4 RETURNING wish

-- name: job_of_lease
SELECT j.*, CASE j.phase WHEN 'plan' THEN p.log_id ELSE a.log_id END AS log_id
  FROM terrane.jobs j JOIN terrane.plans p ON p.run_id = j.run_id JOIN terrane.applies a ON a.run_id = j.run_id
 WHERE j.id = $1 AND j.lease = $2

-- name: job_finish
UPDATE terrane.jobs SET status = $3, outcome = $4, finished_at = clock_timestamp() WHERE id = $1 AND lease = $2 AND status = 'claimed'

-- name: job_cancel_queued
UPDATE terrane.jobs SET status = 'canceled', finished_at = clock_timestamp() WHERE run_id = $1 AND status = 'queued'

-- name: job_set_wish
UPDATE terrane.jobs SET wish = $2
 WHERE run_id = $1 AND status = 'claimed' AND wish IS DISTINCT FROM $2 AND wish IS DISTINCT FROM 'force_cancel' RETURNING node_id

-- name: job_unsent_again
SELECT id FROM terrane.jobs WHERE status = 'queued' AND queued_at < now() - interval '5 seconds' LIMIT 1

-- name: job_missing_on_node
SELECT id, lease FROM terrane.jobs
 WHERE node_id = $1 AND status = 'claimed' AND NOT (id = ANY ($2::text[])) AND claimed_at < clock_timestamp() - interval '10 seconds'

-- name: job_still_held
SELECT id FROM terrane.jobs WHERE id = ANY ($1::text[]) AND node_id = $2 AND status = 'claimed'

-- name: job_claim_inputs
SELECT r.frozen_variables, r.sealed_variables, r.engine, r.engine_version, r.engine_note, cv.object_id AS configuration_object,
       s.object_id AS state_object, s.serial AS state_serial, s.lineage AS state_lineage, p.plan_object_id AS plan_object,
       CASE $2::text WHEN 'plan' THEN p.log_id ELSE a.log_id END AS log_id, o.id AS organization_id, pr.id AS project_id, pr.name AS project_name,
       extract(epoch FROM (CASE $2::text WHEN 'plan' THEN o.plan_timeout ELSE o.apply_timeout END)::interval)::bigint AS organization_seconds
  FROM terrane.runs r JOIN terrane.configuration_versions cv ON cv.id = r.configuration_version_id
  JOIN terrane.plans p ON p.run_id = r.id JOIN terrane.applies a ON a.run_id = r.id
  JOIN terrane.workspaces w ON w.id = r.workspace_id JOIN terrane.organizations o ON o.id = w.organization_id
  JOIN terrane.projects pr ON pr.id = w.project_id
  LEFT JOIN terrane.state_versions s ON s.id = w.current_state_version_id
 WHERE r.id = $1

-- name: job_cancel_one
UPDATE terrane.jobs SET status = 'canceled', finished_at = clock_timestamp() WHERE id = $1 AND status = 'queued'

-- name: node_register
INSERT INTO terrane.nodes (id, name, incarnation, capacity) VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE SET name = $2, incarnation = $3, capacity = $4, seen_at = now(), reports = terrane.nodes.reports + 1, forgotten_at = NULL,
   registered_at = CASE WHEN terrane.nodes.incarnation = $3 THEN terrane.nodes.registered_at ELSE now() END
RETURNING draining, (SELECT epoch FROM terrane.installation) AS epoch

-- name: job_runs_ended
SELECT id FROM terrane.runs
 WHERE id = ANY ($1::text[]) AND status IN ('applied', 'planned_and_finished', 'discarded', 'errored', 'canceled', 'policy_soft_failed')

-- name: node_is_draining
SELECT draining FROM terrane.nodes WHERE id = $1

-- name: node_set_draining
UPDATE terrane.nodes n SET draining = $2 FROM (SELECT id, draining FROM terrane.nodes WHERE id = $1 FOR UPDATE) old
 WHERE n.id = old.id RETURNING old.draining IS DISTINCT FROM $2 AS changed

-- name: node_forget
UPDATE terrane.nodes n SET forgotten_at = now() FROM (SELECT id, seen_at FROM terrane.nodes WHERE id = $1 FOR UPDATE) old
 WHERE n.id = old.id AND old.seen_at < now() - interval '30 seconds' RETURNING n.id

-- name: node_silence
SELECT floor(extract(epoch FROM now() - seen_at))::bigint AS seconds FROM terrane.nodes WHERE id = $1

-- name: node_claims
SELECT count(*) AS count FROM terrane.jobs WHERE node_id = $1 AND status = 'claimed'

-- name: node_list
SELECT n.*, n.seen_at < now() - interval '15 seconds' AS silent, running.count AS running
  FROM terrane.nodes n, LATERAL (SELECT count(*) FROM terrane.jobs j WHERE j.node_id = n.id AND j.status = 'claimed') running
 WHERE n.forgotten_at IS NULL OR running.count > 0 ORDER BY n.name

-- name: job_soon_after_plan
SELECT ceil(extract(epoch FROM (r.status_timestamps->>'planned-at')::timestamptz + interval '5 seconds' - now()) * 1000)::bigint AS milliseconds
  FROM terrane.jobs j JOIN terrane.runs r ON r.id = j.run_id
 WHERE j.id = $1 AND j.phase = 'apply' AND r.status = 'applying' AND r.auto_apply AND (r.status_timestamps->>'planned-at')::timestamptz > now() - interval '5 seconds'
