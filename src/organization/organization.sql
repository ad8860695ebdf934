-- name: organization_find
SELECT o.id, o.name, o.email, o.collaborator_auth_policy, o.default_execution_mode, o.cost_estimation_enabled,
       o.allow_force_delete_workspaces, o.assessments_enforced, o.session_timeout, o.session_remember, o.created_at,
       p.id AS default_project_id
  FROM terrane.organizations o JOIN terrane.projects p ON p.organization_id = o.id AND p.is_default
 WHERE o.id = $1

-- name: organization_find_by_names
SELECT o.id, o.name, o.email, o.collaborator_auth_policy, o.default_execution_mode, o.cost_estimation_enabled,
       o.allow_force_delete_workspaces, o.assessments_enforced, o.session_timeout, o.session_remember, o.created_at,
       p.id AS default_project_id
  FROM terrane.organizations o JOIN terrane.projects p ON p.organization_id = o.id AND p.is_default
 WHERE lower(o.name) = ANY (SELECT lower(given) FROM unnest($1::text[]) AS given)
 ORDER BY lower(o.name)

-- name: organization_list
SELECT o.id, o.name, o.email, o.collaborator_auth_policy, o.default_execution_mode, o.cost_estimation_enabled,
       o.allow_force_delete_workspaces, o.assessments_enforced, o.session_timeout, o.session_remember, o.created_at,
       p.id AS default_project_id
  FROM terrane.organizations o JOIN terrane.projects p ON p.organization_id = o.id AND p.is_default
 WHERE ($1 OR o.id = $2 OR EXISTS (
          SELECT FROM terrane.team_members m JOIN terrane.teams t ON t.id = m.team_id
           WHERE t.organization_id = o.id AND m.user_id = $3))
   AND (position(lower($4) IN lower(o.name)) > 0 OR position(lower($4) IN lower(o.email)) > 0)
 ORDER BY lower(o.name) LIMIT $5 OFFSET $6

-- name: organization_count
SELECT count(*) AS total
  FROM terrane.organizations o
 WHERE ($1 OR o.id = $2 OR EXISTS (
          SELECT FROM terrane.team_members m JOIN terrane.teams t ON t.id = m.team_id
           WHERE t.organization_id = o.id AND m.user_id = $3))
   AND (position(lower($4) IN lower(o.name)) > 0 OR position(lower($4) IN lower(o.email)) > 0)

-- name: organization_insert
INSERT INTO terrane.organizations (id, name, email, collaborator_auth_policy, default_execution_mode,
  cost_estimation_enabled, allow_force_delete_workspaces, assessments_enforced, session_timeout, session_remember)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: organization_insert_owners
WITH team AS (INSERT INTO terrane.teams (id, organization_id, name) VALUES ($1, $2, 'owners') RETURNING id)
INSERT INTO terrane.team_members (team_id, user_id) SELECT id, $3 FROM team

-- name: organization_update
UPDATE terrane.organizations o
   SET name = n.name, email = n.email, collaborator_auth_policy = n.collaborator_auth_policy,
       default_execution_mode = n.default_execution_mode, cost_estimation_enabled = n.cost_estimation_enabled,
       allow_force_delete_workspaces = n.allow_force_delete_workspaces, assessments_enforced = n.assessments_enforced,
       session_timeout = n.session_timeout, session_remember = n.session_remember
  FROM (SELECT (jsonb_populate_record(old, $2)).* FROM terrane.organizations old WHERE old.id = $1) n
 WHERE o.id = $1

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
SELECT j.run_id, j.phase = 'apply' AND j.status = 'claimed' AS applying
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
 WHERE (kind = 'organization' AND owner_id = $1)
    OR (kind = 'team' AND owner_id IN (SELECT id FROM terrane.teams WHERE organization_id = $1))
    OR (kind = 'run' AND owner_id IN (
          SELECT r.id FROM terrane.runs r JOIN terrane.workspaces w ON w.id = r.workspace_id WHERE w.organization_id = $1))

-- name: organization_delete
DELETE FROM terrane.organizations WHERE id = $1
