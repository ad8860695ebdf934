-- name: run_waits
SELECT r.id, r.status, r.plan_only OR r.save_plan AS goes_past, w.lock_kind, w.lock_owner, w.lock_reason,
       before.id AS before_id, before.count AS before_count, j.status AS job_status, j.node_id, j.silent_since,
       (SELECT count(*) FROM terrane.jobs q WHERE q.status = 'queued' AND (q.priority, q.position) < (j.priority, j.position)) AS jobs_before,
       fleet.nodes, fleet.capacity, (SELECT count(*) FROM terrane.jobs c WHERE c.status = 'claimed') AS executing,
       holder.run_id AS silent_run, holder.node_id AS silent_node, holder.silent_since AS silent_run_since
  FROM terrane.runs r JOIN terrane.workspaces w ON w.id = r.workspace_id
  CROSS JOIN LATERAL (SELECT min(e.position) AS position, count(*) AS count, (array_agg(e.id ORDER BY e.position))[1] AS id FROM terrane.runs e
     WHERE e.workspace_id = r.workspace_id AND e.position < r.position AND NOT e.plan_only AND NOT e.save_plan
       AND e.status NOT IN ('applied', 'planned_and_finished', 'discarded', 'errored', 'canceled', 'policy_soft_failed')) before
  CROSS JOIN (SELECT count(*) AS nodes, coalesce(sum(capacity), 0)::bigint AS capacity FROM terrane.nodes
     WHERE NOT draining AND forgotten_at IS NULL AND seen_at > now() - interval '15 seconds') fleet
  LEFT JOIN terrane.jobs j ON j.run_id = r.id AND j.status IN ('queued', 'claimed')
  LEFT JOIN terrane.jobs holder ON w.lock_kind = 'runs' AND holder.run_id = w.lock_owner AND holder.run_id <> r.id AND holder.status = 'claimed'
       AND holder.silent_since IS NOT NULL
 WHERE r.id = ANY ($1::text[])
