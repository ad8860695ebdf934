-- A workspace's own policy stands over that of its organization. Without one, or with one without days, all is kept.
-- name: retention_delete_states
UPDATE terrane.objects o SET status = 'deleted', deleted_at = now()
 WHERE o.status = 'live' AND o.id IN (
   SELECT b.id
     FROM terrane.workspaces w
     LEFT JOIN terrane.organization_retention_policies p ON p.organization_id = w.organization_id
     LEFT JOIN terrane.workspace_retention_policies q ON q.workspace_id = w.id
     CROSS JOIN LATERAL (SELECT CASE WHEN q.id IS NULL THEN p.delete_older_than_n_days ELSE q.delete_older_than_n_days END AS days) r
     JOIN terrane.state_versions s ON s.workspace_id = w.id AND s.id IS DISTINCT FROM w.current_state_version_id
     JOIN terrane.objects b ON b.id IN (s.object_id, s.json_object_id) AND b.status = 'live'
    WHERE now() - make_interval(days => r.days::int) > coalesce(
            (SELECT n.created_at FROM terrane.state_versions n
              WHERE n.workspace_id = s.workspace_id AND n.position > s.position AND n.status = 'finalized' AND NOT n.recovered
              ORDER BY n.position LIMIT 1), s.created_at)
      AND NOT EXISTS (
            SELECT FROM terrane.runs u WHERE u.id = s.run_id
               AND u.status NOT IN ('applied', 'planned_and_finished', 'discarded', 'errored', 'canceled', 'policy_soft_failed'))
    LIMIT $1)

-- name: retention_delete_configurations
UPDATE terrane.objects o SET status = 'deleted', deleted_at = now()
 WHERE o.status = 'live' AND o.id IN (
   SELECT b.id
     FROM terrane.workspaces w
     LEFT JOIN terrane.organization_retention_policies p ON p.organization_id = w.organization_id
     LEFT JOIN terrane.workspace_retention_policies q ON q.workspace_id = w.id
     CROSS JOIN LATERAL (SELECT CASE WHEN q.id IS NULL THEN p.delete_older_than_n_days ELSE q.delete_older_than_n_days END AS days) r
     JOIN terrane.configuration_versions c ON c.workspace_id = w.id AND c.id IS DISTINCT FROM w.current_configuration_version_id
     JOIN terrane.objects b ON b.id = c.object_id AND b.status = 'live'
    WHERE now() - make_interval(days => r.days::int) > greatest(
            c.created_at, (SELECT max(u.created_at) FROM terrane.runs u WHERE u.configuration_version_id = c.id))
      AND NOT EXISTS (
            SELECT FROM terrane.runs u WHERE u.configuration_version_id = c.id
               AND u.status NOT IN ('applied', 'planned_and_finished', 'discarded', 'errored', 'canceled', 'policy_soft_failed'))
    LIMIT $1)
