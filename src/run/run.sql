-- name: run_insert
INSERT INTO terrane.runs (id, workspace_id, configuration_version_id, source, trigger_reason, message, is_destroy, refresh, refresh_only, plan_only,
    save_plan, auto_apply, allow_empty_apply, allow_config_generation, target_addrs, replace_addrs, invoke_action_addrs, policy_paths, terraform_version,
    sealed_variables, created_by, epoch, request_key, status_timestamps, frozen_variables)
SELECT $1, $2, $3, $8, $9, p.message, p.is_destroy, p.refresh, p.refresh_only, p.plan_only, p.save_plan, p.auto_apply,
    p.allow_empty_apply, p.allow_config_generation, p.target_addrs, p.replace_addrs, p.invoke_action_addrs, p.policy_paths, p.terraform_version,
    $5, $6,
    (SELECT epoch FROM terrane.installation), $7,
    jsonb_build_object('plan-queueable-at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')),
    (SELECT coalesce(jsonb_agg(jsonb_build_object('id', v.id, 'key', v.key, 'category', v.category, 'hcl', v.hcl, 'sealed', v.sealed_value,
              'priority', v.priority) ORDER BY v.key), '[]')
       FROM terrane.effective_variables($2) v)
  FROM jsonb_populate_record(NULL::terrane.runs, $4::jsonb) p

-- name: run_unanswered
SELECT id FROM terrane.runs
 WHERE request_key = $1 AND answered_at IS NULL AND created_at > now() - interval '2 minutes' ORDER BY position DESC LIMIT 1

-- name: run_mark_answered
UPDATE terrane.runs SET answered_at = now() WHERE id = $1 AND answered_at IS NULL

-- name: run_find
SELECT r.*, p.id AS plan_id, a.id AS apply_id
  FROM terrane.runs r JOIN terrane.plans p ON p.run_id = r.id JOIN terrane.applies a ON a.run_id = r.id WHERE r.id = $1

-- name: run_find_many
SELECT r.*, p.id AS plan_id, a.id AS apply_id
  FROM terrane.runs r JOIN terrane.plans p ON p.run_id = r.id JOIN terrane.applies a ON a.run_id = r.id
 WHERE r.id = ANY ($1::text[]) ORDER BY r.position DESC

-- name: run_lock_row
SELECT id FROM terrane.runs WHERE id = $1 FOR UPDATE

-- The lists' filters: statuses, sources, operations (without them plan-only runs only if $9 says so), a year (0 is the last twelve months), who
-- made the run, the commit it was made of, and a part of what it says. No run is made of a commit yet, so a search for one finds nothing.
-- name: run_list
SELECT r.*, p.id AS plan_id, a.id AS apply_id
  FROM terrane.runs r JOIN terrane.plans p ON p.run_id = r.id JOIN terrane.applies a ON a.run_id = r.id
 WHERE r.workspace_id = $1
   AND ($2::text[] IS NULL OR r.status = ANY ($2::text[]))
   AND ($3::text[] IS NULL OR r.source = ANY ($3::text[]))
   AND CASE WHEN $4::text[] IS NULL THEN $9::boolean OR NOT r.plan_only
            ELSE CASE WHEN r.plan_only THEN 'plan_only' WHEN r.save_plan THEN 'save_plan' WHEN r.refresh_only THEN 'refresh_only'
                      WHEN r.is_destroy THEN 'destroy' WHEN r.allow_empty_apply THEN 'empty_apply' ELSE 'plan_and_apply' END = ANY ($4::text[]) END
   AND ($5::bigint IS NULL OR CASE $5::bigint WHEN 0 THEN r.created_at > now() - interval '1 year'
                                   ELSE extract(year FROM r.created_at AT TIME ZONE 'UTC') = $5::bigint END)
   AND ($6::text IS NULL OR EXISTS (SELECT FROM terrane.users u WHERE u.id = r.created_by AND lower(u.username) = lower($6::text)))
   AND $7::text IS NULL
   AND ($8::text IS NULL OR r.id = $8::text OR position(lower($8::text) IN lower(r.message)) > 0
     OR EXISTS (SELECT FROM terrane.users u WHERE u.id = r.created_by AND lower(u.username) = lower($8::text)))
 ORDER BY r.position DESC LIMIT $10 OFFSET $11

-- name: run_count
SELECT count(*) AS total FROM terrane.runs r
 WHERE r.workspace_id = $1
   AND ($2::text[] IS NULL OR r.status = ANY ($2::text[]))
   AND ($3::text[] IS NULL OR r.source = ANY ($3::text[]))
   AND CASE WHEN $4::text[] IS NULL THEN $9::boolean OR NOT r.plan_only
            ELSE CASE WHEN r.plan_only THEN 'plan_only' WHEN r.save_plan THEN 'save_plan' WHEN r.refresh_only THEN 'refresh_only'
                      WHEN r.is_destroy THEN 'destroy' WHEN r.allow_empty_apply THEN 'empty_apply' ELSE 'plan_and_apply' END = ANY ($4::text[]) END
   AND ($5::bigint IS NULL OR CASE $5::bigint WHEN 0 THEN r.created_at > now() - interval '1 year'
                                   ELSE extract(year FROM r.created_at AT TIME ZONE 'UTC') = $5::bigint END)
   AND ($6::text IS NULL OR EXISTS (SELECT FROM terrane.users u WHERE u.id = r.created_by AND lower(u.username) = lower($6::text)))
   AND $7::text IS NULL
   AND ($8::text IS NULL OR r.id = $8::text OR position(lower($8::text) IN lower(r.message)) > 0
     OR EXISTS (SELECT FROM terrane.users u WHERE u.id = r.created_by AND lower(u.username) = lower($8::text)))

-- name: run_list_of_organization
SELECT r.*, p.id AS plan_id, a.id AS apply_id
  FROM terrane.runs r JOIN terrane.workspaces w ON w.id = r.workspace_id
  JOIN terrane.plans p ON p.run_id = r.id JOIN terrane.applies a ON a.run_id = r.id
 WHERE w.organization_id = $1
   AND ($2::text[] IS NULL OR r.status = ANY ($2::text[]))
   AND ($3::text[] IS NULL OR r.source = ANY ($3::text[]))
   AND CASE WHEN $4::text[] IS NULL THEN $9::boolean OR NOT r.plan_only
            ELSE CASE WHEN r.plan_only THEN 'plan_only' WHEN r.save_plan THEN 'save_plan' WHEN r.refresh_only THEN 'refresh_only'
                      WHEN r.is_destroy THEN 'destroy' WHEN r.allow_empty_apply THEN 'empty_apply' ELSE 'plan_and_apply' END = ANY ($4::text[]) END
   AND ($5::bigint IS NULL OR CASE $5::bigint WHEN 0 THEN r.created_at > now() - interval '1 year'
                                   ELSE extract(year FROM r.created_at AT TIME ZONE 'UTC') = $5::bigint END)
   AND ($6::text IS NULL OR EXISTS (SELECT FROM terrane.users u WHERE u.id = r.created_by AND lower(u.username) = lower($6::text)))
   AND $7::text IS NULL
   AND ($8::text IS NULL OR r.id = $8::text OR position(lower($8::text) IN lower(r.message)) > 0
     OR EXISTS (SELECT FROM terrane.users u WHERE u.id = r.created_by AND lower(u.username) = lower($8::text)))
   AND ($10::text[] IS NULL OR w.name = ANY ($10::text[]))
   AND ($11::bigint IS NULL OR r.position < $11::bigint)
 ORDER BY r.position DESC LIMIT $12

-- name: run_transition
UPDATE terrane.runs
   SET status = $3, error_message = coalesce($4, error_message),
       status_timestamps = status_timestamps || jsonb_build_object(replace($3::text, '_', '-') || '-at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'))
 WHERE id = $1 AND status = $2

-- name: run_wake
SELECT pg_notify('terrane_runs', $1)

-- name: run_event_insert
INSERT INTO terrane.run_events (id, run_id, action, description, actor_id) VALUES ($1, $2, $3, $4, $5)

-- name: run_comment_event_insert
INSERT INTO terrane.run_events (id, run_id, action, actor_id, comment_id) VALUES ($1, $2, 'commented', $3, $4)

-- name: run_events
SELECT * FROM terrane.run_events WHERE run_id = $1 ORDER BY created_at, id

-- name: run_event_find_many
SELECT * FROM terrane.run_events WHERE id = ANY ($1::text[]) ORDER BY created_at, id

-- name: run_trace_insert
INSERT INTO terrane.run_trace (run_id, who, what, detail) VALUES ($1, $2, $3, $4)

-- name: run_trace
SELECT at, who, what, detail FROM terrane.run_trace WHERE run_id = $1 ORDER BY id

-- name: run_comment_insert
INSERT INTO terrane.comments (id, run_id, body, created_by) VALUES ($1, $2, $3, $4)

-- What runs have many of, as the members of their relationships.
-- name: run_links
SELECT run_id, id, 'run-events' AS type, created_at FROM terrane.run_events WHERE run_id = ANY ($1::text[])
UNION ALL
SELECT run_id, id, 'comments' AS type, created_at FROM terrane.comments WHERE run_id = ANY ($1::text[])
 ORDER BY created_at, id

-- name: run_comment_list
SELECT c.*, e.id AS event_id FROM terrane.comments c LEFT JOIN terrane.run_events e ON e.run_id = c.run_id AND e.comment_id = c.id
 WHERE c.run_id = $1 ORDER BY c.created_at, c.id

-- name: run_comment_find_many
SELECT c.*, e.id AS event_id FROM terrane.comments c LEFT JOIN terrane.run_events e ON e.run_id = c.run_id AND e.comment_id = c.id
 WHERE c.id = ANY ($1::text[]) ORDER BY c.created_at, c.id

-- Runs before a place in the workspace's queue that have not ended.
-- name: run_open_before
SELECT id FROM terrane.runs
 WHERE workspace_id = $1 AND position < $2 AND NOT plan_only AND NOT save_plan
   AND status NOT IN ('applied', 'planned_and_finished', 'discarded', 'errored', 'canceled', 'policy_soft_failed')
 ORDER BY position

-- name: run_set_confirmed_by
UPDATE terrane.runs SET confirmed_by = $2 WHERE id = $1

-- name: run_set_canceled
UPDATE terrane.runs SET canceled_at = coalesce(canceled_at, now()),
       force_cancel_available_at = coalesce(force_cancel_available_at, now() + interval '60 seconds') WHERE id = $1

-- name: run_set_force_canceled
UPDATE terrane.runs SET force_canceled_at = now(),
       status_timestamps = status_timestamps || jsonb_build_object('force-canceled-at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'))
 WHERE id = $1

-- name: run_force_cancel_is_open
SELECT force_cancel_available_at <= now() AS open FROM terrane.runs WHERE id = $1

-- name: run_set_has_changes
UPDATE terrane.runs SET has_changes = $2 WHERE id = $1

-- name: run_candidates
SELECT r.id, r.workspace_id FROM terrane.runs r JOIN terrane.workspaces w ON w.id = r.workspace_id
 WHERE r.status IN ('pending', 'planned', 'confirmed')
   AND ( (r.status = 'pending' AND (r.plan_only OR r.save_plan))
      OR (r.status = 'pending' AND w.lock_kind IS NULL AND NOT EXISTS (
            SELECT 1 FROM terrane.runs e WHERE e.workspace_id = r.workspace_id AND e.position < r.position AND NOT e.plan_only AND NOT e.save_plan
               AND e.status NOT IN ('applied', 'planned_and_finished', 'discarded', 'errored', 'canceled', 'policy_soft_failed')))
      OR (r.status = 'planned' AND r.auto_apply AND w.lock_kind = 'runs' AND w.lock_owner = r.id)
      OR (r.status = 'confirmed' AND (w.lock_kind IS NULL OR (w.lock_kind = 'runs' AND w.lock_owner = r.id))))
 ORDER BY r.position LIMIT 200

-- name: run_is_first
SELECT NOT EXISTS (SELECT 1 FROM terrane.runs e WHERE e.workspace_id = $1 AND e.position < $2 AND NOT e.plan_only AND NOT e.save_plan
   AND e.status NOT IN ('applied', 'planned_and_finished', 'discarded', 'errored', 'canceled', 'policy_soft_failed')) AS first

-- name: run_queue
SELECT r.*, p.id AS plan_id, a.id AS apply_id
  FROM terrane.runs r JOIN terrane.workspaces w ON w.id = r.workspace_id JOIN terrane.plans p ON p.run_id = r.id JOIN terrane.applies a ON a.run_id = r.id
 WHERE w.organization_id = $1 AND r.status IN ('pending', 'plan_queued', 'apply_queued', 'confirmed')
   AND ($4::boolean OR w.project_id = ANY ($5::text[]) OR w.id = ANY ($6::text[]))
 ORDER BY r.position LIMIT $2 OFFSET $3

-- name: run_capacity
SELECT count(*) FILTER (WHERE r.status IN ('planning', 'applying')) AS running,
       count(*) FILTER (WHERE r.status IN ('pending', 'plan_queued', 'apply_queued', 'confirmed')) AS pending
  FROM terrane.runs r JOIN terrane.workspaces w ON w.id = r.workspace_id
 WHERE w.organization_id = $1 AND r.status IN ('planning', 'applying', 'pending', 'plan_queued', 'apply_queued', 'confirmed')
   AND ($2::boolean OR w.project_id = ANY ($3::text[]) OR w.id = ANY ($4::text[]))

-- name: plan_insert
INSERT INTO terrane.plans (id, run_id, log_id, status_timestamps) VALUES ($1, $2, $3, '{}')

-- name: apply_insert
INSERT INTO terrane.applies (id, run_id, log_id, status_timestamps) VALUES ($1, $2, $3, '{}')

-- name: plan_find_many
SELECT * FROM terrane.plans WHERE id = ANY ($1::text[]) ORDER BY id

-- name: apply_find_many
SELECT * FROM terrane.applies WHERE id = ANY ($1::text[]) ORDER BY id

-- name: plan_set_status
UPDATE terrane.plans SET status = $2,
       status_timestamps = status_timestamps || jsonb_build_object($3::text, to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'))
 WHERE run_id = $1 AND status NOT IN ('finished', 'errored', 'canceled', 'unreachable')

-- name: apply_set_status
UPDATE terrane.applies SET status = $2,
       status_timestamps = status_timestamps || jsonb_build_object($3::text, to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'))
 WHERE run_id = $1 AND status NOT IN ('finished', 'errored', 'canceled', 'unreachable')

-- name: plan_set_outcome
UPDATE terrane.plans SET has_changes = $2, generated_configuration = $3, resource_additions = $4, resource_changes = $5,
       resource_destructions = $6, resource_imports = $7, plan_object_id = $8, json_object_id = $9, schemas_object_id = $10
 WHERE run_id = $1

-- name: apply_set_outcome
UPDATE terrane.applies SET resource_additions = $2, resource_changes = $3, resource_destructions = $4, resource_imports = $5,
       import_list = $6 WHERE run_id = $1

-- name: plan_next_segment
UPDATE terrane.plans SET log_segments = log_segments + 1 WHERE run_id = $1 RETURNING log_segments, log_id

-- name: apply_next_segment
UPDATE terrane.applies SET log_segments = log_segments + 1 WHERE run_id = $1 RETURNING log_segments, log_id

-- name: apply_state_versions
SELECT a.id AS apply_id, s.id
  FROM terrane.applies a CROSS JOIN LATERAL (
       SELECT v.id, v.position FROM terrane.state_versions v
        WHERE v.run_id = a.run_id AND v.status = 'finalized' AND NOT v.recovered ORDER BY v.position DESC LIMIT 100) s
 WHERE a.id = ANY ($1::text[]) ORDER BY s.position DESC

-- What the phase saved out of its spool, or wrote last, when it did not end well.
-- name: apply_errored_state
SELECT s.object_id FROM terrane.applies a JOIN terrane.state_versions s ON s.run_id = a.run_id JOIN terrane.objects o ON o.id = s.object_id
 WHERE a.id = $1 AND a.status IN ('errored', 'canceled') AND s.recovered AND o.status = 'live' AND o.hidden_at IS NULL
 ORDER BY s.serial DESC, s.position DESC LIMIT 1

-- name: run_engine_of
SELECT engine FROM terrane.terraform_versions WHERE version = $1

-- name: run_set_engine
UPDATE terrane.runs SET engine = $2, engine_version = $3, engine_note = $4 WHERE id = $1
