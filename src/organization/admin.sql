-- name: admin_organization_find
SELECT o.*, o.email AS notification_email, ARRAY(
         SELECT m.user_id FROM terrane.team_members m JOIN terrane.teams t ON t.id = m.team_id
          WHERE t.organization_id = o.id AND t.name = 'owners' ORDER BY m.user_id) AS owners
  FROM terrane.organizations o WHERE lower(o.name) = lower($1)

-- name: admin_organization_list
SELECT o.*, o.email AS notification_email, ARRAY(
         SELECT m.user_id FROM terrane.team_members m JOIN terrane.teams t ON t.id = m.team_id
          WHERE t.organization_id = o.id AND t.name = 'owners' ORDER BY m.user_id) AS owners
  FROM terrane.organizations o
 WHERE position(lower($1) IN lower(o.name)) > 0 OR position(lower($1) IN lower(o.email)) > 0
 ORDER BY lower(o.name) LIMIT $2 OFFSET $3

-- name: admin_organization_count
SELECT count(*) AS total FROM terrane.organizations o
 WHERE position(lower($1) IN lower(o.name)) > 0 OR position(lower($1) IN lower(o.email)) > 0

-- Runs and users meet the change at once: what a disabled organization's tokens may do is not cached anywhere.
-- name: admin_organization_update
UPDATE terrane.organizations o
   SET (access_beta_tools, global_module_sharing, global_provider_sharing, is_disabled, terraform_worker_sudo_enabled, workspace_limit,
        plan_timeout, apply_timeout) =
       (SELECT n.access_beta_tools, n.global_module_sharing, n.global_provider_sharing, n.is_disabled, n.terraform_worker_sudo_enabled,
               n.workspace_limit, n.plan_timeout, n.apply_timeout
          FROM jsonb_populate_record(o, $2::jsonb) n)
 WHERE o.id = $1

-- name: admin_module_consumers
SELECT o.*, o.email AS notification_email, ARRAY(
         SELECT m.user_id FROM terrane.team_members m JOIN terrane.teams t ON t.id = m.team_id
          WHERE t.organization_id = o.id AND t.name = 'owners' ORDER BY m.user_id) AS owners
  FROM terrane.organization_module_consumers c JOIN terrane.organizations o ON o.id = c.consumer_id
 WHERE c.organization_id = $1 ORDER BY lower(o.name) LIMIT $2 OFFSET $3

-- name: admin_module_consumers_count
SELECT count(*) AS total FROM terrane.organization_module_consumers WHERE organization_id = $1

-- name: admin_module_consumers_clear
DELETE FROM terrane.organization_module_consumers WHERE organization_id = $1

-- name: admin_module_consumer_add
INSERT INTO terrane.organization_module_consumers (organization_id, consumer_id)
SELECT $1, o.id FROM terrane.organizations o WHERE lower(o.name) = lower($2)
ON CONFLICT (organization_id, consumer_id) DO UPDATE SET consumer_id = excluded.consumer_id

-- name: admin_workspace_limit
SELECT workspace_limit FROM terrane.organizations WHERE id = $1 AND workspace_limit > 0 FOR UPDATE

-- name: admin_workspace_count
SELECT count(*) AS total FROM terrane.workspaces WHERE organization_id = $1
