-- name: team_find
SELECT t.*, o.name AS organization,
       (SELECT count(*) FROM terrane.team_members m JOIN terrane.organization_memberships b
            ON b.user_id = m.user_id AND b.organization_id = t.organization_id AND b.status = 'active'
         WHERE m.team_id = t.id) AS users_count,
       EXISTS (SELECT FROM terrane.principal_teams p WHERE p.team_id = t.id AND p.kind = $2 AND p.id = $3) AS is_mine
  FROM terrane.teams t JOIN terrane.organizations o ON o.id = t.organization_id
 WHERE t.id = ANY ($1::text[])

-- name: team_list
SELECT t.*, o.name AS organization,
       (SELECT count(*) FROM terrane.team_members m JOIN terrane.organization_memberships b
            ON b.user_id = m.user_id AND b.organization_id = t.organization_id AND b.status = 'active'
         WHERE m.team_id = t.id) AS users_count,
       EXISTS (SELECT FROM terrane.principal_teams p WHERE p.team_id = t.id AND p.kind = $2 AND p.id = $3) AS is_mine
  FROM terrane.teams t JOIN terrane.organizations o ON o.id = t.organization_id
 WHERE t.organization_id = $1
   AND ($4::boolean OR t.visibility = 'organization'
        OR EXISTS (SELECT FROM terrane.principal_teams p WHERE p.team_id = t.id AND p.kind = $2 AND p.id = $3))
   AND (cardinality($5::text[]) = 0 OR t.name = ANY ($5)) AND position(lower($6) IN lower(t.name)) > 0
 ORDER BY lower(t.name), t.id LIMIT $7 OFFSET $8

-- name: team_count
SELECT count(*) AS total
  FROM terrane.teams t
 WHERE t.organization_id = $1
   AND ($4::boolean OR t.visibility = 'organization'
        OR EXISTS (SELECT FROM terrane.principal_teams p WHERE p.team_id = t.id AND p.kind = $2 AND p.id = $3))
   AND (cardinality($5::text[]) = 0 OR t.name = ANY ($5)) AND position(lower($6) IN lower(t.name)) > 0

-- The defaults of the table stand where nothing was given.
-- name: team_insert
INSERT INTO terrane.teams (id, organization_id, name, visibility, sso_team_id, allow_member_token_management,
  manage_policies, manage_policy_overrides, manage_workspaces, manage_vcs_settings, manage_providers, manage_modules,
  manage_run_tasks, manage_projects, read_workspaces, read_projects, manage_membership, manage_teams,
  manage_organization_access, access_secret_teams, manage_agent_pools)
SELECT $1, $2, n.name, coalesce(n.visibility, 'secret'), n.sso_team_id, coalesce(n.allow_member_token_management, true),
       coalesce(n.manage_policies, false), coalesce(n.manage_policy_overrides, false), coalesce(n.manage_workspaces, false),
       coalesce(n.manage_vcs_settings, false), coalesce(n.manage_providers, false), coalesce(n.manage_modules, false),
       coalesce(n.manage_run_tasks, false), coalesce(n.manage_projects, false), coalesce(n.read_workspaces, false),
       coalesce(n.read_projects, false), coalesce(n.manage_membership, false), coalesce(n.manage_teams, false),
       coalesce(n.manage_organization_access, false), coalesce(n.access_secret_teams, false), coalesce(n.manage_agent_pools, false)
  FROM jsonb_populate_record(NULL::terrane.teams, $3) n

-- name: team_update
UPDATE terrane.teams t
   SET (name, visibility, sso_team_id, allow_member_token_management, manage_policies, manage_policy_overrides, manage_workspaces,
        manage_vcs_settings, manage_providers, manage_modules, manage_run_tasks, manage_projects, read_workspaces, read_projects,
        manage_membership, manage_teams, manage_organization_access, access_secret_teams, manage_agent_pools) =
       (SELECT n.name, n.visibility, n.sso_team_id, n.allow_member_token_management, n.manage_policies, n.manage_policy_overrides,
               n.manage_workspaces, n.manage_vcs_settings, n.manage_providers, n.manage_modules, n.manage_run_tasks,
               n.manage_projects, n.read_workspaces, n.read_projects, n.manage_membership, n.manage_teams,
               n.manage_organization_access, n.access_secret_teams, n.manage_agent_pools
          FROM jsonb_populate_record(t, $2) n)
 WHERE t.id = $1

-- name: team_delete
DELETE FROM terrane.teams WHERE id = $1

-- The name is in the cached authentications of the team's tokens.
-- name: team_notify_tokens
SELECT pg_notify('terrane_tokens', '') IS NULL AS notified

-- name: team_members
SELECT m.team_id, m.user_id, b.id AS membership_id, b.status = 'active' AS active
  FROM terrane.team_members m JOIN terrane.teams t ON t.id = m.team_id
  JOIN terrane.organization_memberships b ON b.user_id = m.user_id AND b.organization_id = t.organization_id
 WHERE m.team_id = ANY ($1::text[]) ORDER BY m.team_id, m.user_id

-- name: team_add_users
INSERT INTO terrane.team_members (team_id, user_id) SELECT $1, u FROM unnest($2::text[]) u ORDER BY u ON CONFLICT DO NOTHING

-- name: team_remove_users
DELETE FROM terrane.team_members WHERE team_id = $1 AND user_id = ANY ($2::text[])

-- Two who leave at once must not both be the last but one.
-- name: team_lock_owners
SELECT id FROM terrane.teams WHERE organization_id = $1 AND name = 'owners' FOR UPDATE

-- name: team_has_owner
SELECT EXISTS (
  SELECT FROM terrane.team_members m JOIN terrane.teams t ON t.id = m.team_id
    JOIN terrane.organization_memberships b ON b.user_id = m.user_id AND b.organization_id = t.organization_id AND b.status = 'active'
   WHERE t.organization_id = $1 AND t.name = 'owners') AS has_owner

-- name: team_users_by_name
SELECT u.id, lower(u.username) AS username
  FROM terrane.users u JOIN terrane.organization_memberships b ON b.user_id = u.id
 WHERE b.organization_id = $1 AND lower(u.username) = ANY ($2::text[])

-- name: team_users_by_membership
SELECT b.id, b.user_id FROM terrane.organization_memberships b WHERE b.organization_id = $1 AND b.id = ANY ($2::text[])
