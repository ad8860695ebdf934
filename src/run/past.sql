-- name: past_runs
SELECT r.id, r.workspace_id FROM terrane.runs r
 WHERE r.epoch < (SELECT epoch FROM terrane.installation)
   AND r.status NOT IN ('applied', 'planned_and_finished', 'discarded', 'errored', 'canceled', 'policy_soft_failed')
 ORDER BY r.position LIMIT 500

-- name: past_run_enters
UPDATE terrane.runs SET epoch = $2, auto_apply = auto_apply AND status = 'pending' WHERE id = $1

-- name: past_close_jobs
UPDATE terrane.jobs SET status = 'lost', finished_at = clock_timestamp(), outcome = '{"lost": "the database went back"}'
 WHERE run_id = $1 AND status IN ('queued', 'claimed') RETURNING phase
