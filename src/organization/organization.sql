-- name: organization_find
SELECT o.*, p.id AS default_project_id, l.entitlements, l.identifier AS plan, l.is_trial AS plan_is_trial, l.end_at AS plan_ends_at,
       l.module_test_limit, r.id AS retention_policy_id, r.delete_older_than_n_days IS NOT NULL AS retention_deletes
  FROM terrane.organizations o
  JOIN terrane.projects p ON p.organization_id = o.id AND p.is_default
  JOIN terrane.organization_plans l ON l.organization_id = o.id
  LEFT JOIN terrane.organization_retention_policies r ON r.organization_id = o.id
 WHERE o.id = $1

-- name: organization_find_by_names
SELECT o.*, p.id AS default_project_id, l.entitlements, l.identifier AS plan, l.is_trial AS plan_is_trial, l.end_at AS plan_ends_at,
       l.module_test_limit, r.id AS retention_policy_id, r.delete_older_than_n_days IS NOT NULL AS retention_deletes
  FROM terrane.organizations o
  JOIN terrane.projects p ON p.organization_id = o.id AND p.is_default
  JOIN terrane.organization_plans l ON l.organization_id = o.id
  LEFT JOIN terrane.organization_retention_policies r ON r.organization_id = o.id
 WHERE lower(o.name) = ANY (SELECT lower(given) FROM unnest($1::text[]) AS given)
 ORDER BY lower(o.name)

-- name: organization_list
SELECT o.*, p.id AS default_project_id, l.entitlements, l.identifier AS plan, l.is_trial AS plan_is_trial, l.end_at AS plan_ends_at,
       l.module_test_limit, r.id AS retention_policy_id, r.delete_older_than_n_days IS NOT NULL AS retention_deletes
  FROM terrane.organizations o
  JOIN terrane.projects p ON p.organization_id = o.id AND p.is_default
  JOIN terrane.organization_plans l ON l.organization_id = o.id
  LEFT JOIN terrane.organization_retention_policies r ON r.organization_id = o.id
 WHERE ($1 OR o.id = $2 OR EXISTS (
          SELECT FROM terrane.organization_memberships m
           WHERE m.organization_id = o.id AND m.user_id = $3 AND o.user_tokens_enabled AND NOT o.is_disabled))
   AND (position(lower($4) IN lower(o.name)) > 0 OR position(lower($4) IN lower(o.email)) > 0)
   AND position(lower($5) IN lower(o.name)) > 0 AND position(lower($6) IN lower(o.email)) > 0
 ORDER BY lower(o.name) LIMIT $7 OFFSET $8

-- name: organization_count
SELECT count(*) AS total
  FROM terrane.organizations o
 WHERE ($1 OR o.id = $2 OR EXISTS (
          SELECT FROM terrane.organization_memberships m
           WHERE m.organization_id = o.id AND m.user_id = $3 AND o.user_tokens_enabled AND NOT o.is_disabled))
   AND (position(lower($4) IN lower(o.name)) > 0 OR position(lower($4) IN lower(o.email)) > 0)
   AND position(lower($5) IN lower(o.name)) > 0 AND position(lower($6) IN lower(o.email)) > 0

-- name: organization_insert
INSERT INTO terrane.organizations (id, name, email, collaborator_auth_policy, default_execution_mode, cost_estimation_enabled,
  allow_force_delete_workspaces, assessments_enforced, session_timeout, session_remember, owners_team_saml_role_id,
  send_passing_statuses_for_untriggered_speculative_plans, aggregated_commit_status_enabled, speculative_plan_management_enabled,
  user_tokens_enabled)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)

-- name: organization_insert_owners
WITH team AS (INSERT INTO terrane.teams (id, organization_id, name) VALUES ($1, $2, 'owners') RETURNING id)
INSERT INTO terrane.team_members (team_id, user_id) SELECT id, $3 FROM team

-- name: organization_update
UPDATE terrane.organizations o
   SET (name, email, collaborator_auth_policy, default_execution_mode, default_agent_pool_id, cost_estimation_enabled,
        allow_force_delete_workspaces, assessments_enforced, session_timeout, session_remember, owners_team_saml_role_id,
        send_passing_statuses_for_untriggered_speculative_plans, aggregated_commit_status_enabled,
        speculative_plan_management_enabled, user_tokens_enabled) =
       (SELECT n.name, n.email, n.collaborator_auth_policy, n.default_execution_mode, n.default_agent_pool_id, n.cost_estimation_enabled,
               n.allow_force_delete_workspaces, n.assessments_enforced, n.session_timeout, n.session_remember, n.owners_team_saml_role_id,
               n.send_passing_statuses_for_untriggered_speculative_plans, n.aggregated_commit_status_enabled,
               n.speculative_plan_management_enabled, n.user_tokens_enabled
          FROM jsonb_populate_record(o, $2::jsonb) n)
 WHERE o.id = $1

-- A pool for a part of the organization cannot be everybody's default.
-- name: organization_has_agent_pool
SELECT organization_scoped FROM terrane.agent_pools WHERE id = $1 AND organization_id = $2

-- The name is in the cached authentications of the organization's token.
-- name: organization_notify_tokens
SELECT pg_notify('terrane_tokens', '') IS NULL AS notified

-- Locks out new workspaces, and with the next statement new objects and runs, so that the removal sees all there is.
-- name: organization_lock
SELECT id FROM terrane.organizations WHERE id = $1 FOR UPDATE

-- name: organization_lock_workspaces
SELECT id FROM terrane.workspaces WHERE organization_id = $1 ORDER BY id FOR UPDATE

-- Locked jobs cannot be claimed until the organization is gone.
-- name: organization_lock_jobs
SELECT j.run_id, j.phase, j.status = 'claimed' AS executing
  FROM terrane.jobs j JOIN terrane.workspaces w ON w.id = j.workspace_id
 WHERE w.organization_id = $1 AND j.status IN ('queued', 'claimed')
 ORDER BY j.id FOR UPDATE OF j

-- name: organization_delete_objects
UPDATE terrane.objects SET status = 'deleted', deleted_at = now()
 WHERE status <> 'deleted'
   AND (workspace_id IN (SELECT id FROM terrane.workspaces WHERE organization_id = $1)
     OR id IN (SELECT c.object_id FROM terrane.configuration_versions c JOIN terrane.registry_modules m ON m.id = c.registry_module_id
                WHERE m.organization_id = $1))

-- name: organization_delete_tokens
DELETE FROM terrane.tokens
 WHERE (kind IN ('organization', 'audit-trails') AND owner_id = $1)
    OR (kind = 'team' AND owner_id IN (SELECT id FROM terrane.teams WHERE organization_id = $1))
    OR (kind = 'agent' AND owner_id IN (SELECT id FROM terrane.agent_pools WHERE organization_id = $1))
    OR (kind = 'run' AND owner_id IN (
          SELECT r.id FROM terrane.runs r JOIN terrane.workspaces w ON w.id = r.workspace_id WHERE w.organization_id = $1))

-- name: organization_delete
DELETE FROM terrane.organizations WHERE id = $1
