-- What the teams of a principal may do in an organization, added up. Runs are judged by what their token says. The teams are
-- found first, once and by their keys: OFFSET 0 keeps PostgreSQL from reading all teams instead.
-- name: access_organizations
WITH mine AS MATERIALIZED (
  SELECT t.* FROM terrane.principal_teams p CROSS JOIN LATERAL (
    SELECT * FROM terrane.teams t WHERE t.id = p.team_id OFFSET 0) t
   WHERE p.kind = $2 AND p.id = $3)
SELECT o.id, o.name, o.user_tokens_enabled, o.is_disabled, g.*,
       coalesce((SELECT p.id FROM terrane.projects p WHERE p.organization_id = o.id AND p.is_default), '') AS default_project,
       $2 = 'organization' AND o.id = $3 AS is_itself,
       g.has_team OR ($2 = 'user' AND EXISTS (
         SELECT FROM terrane.organization_memberships m WHERE m.organization_id = o.id AND m.user_id = $3)) AS belongs
  FROM terrane.organizations o CROSS JOIN LATERAL (
    SELECT count(*) > 0 AS has_team,
           coalesce(bool_or(t.name = 'owners'), false) AS owns,
           coalesce(bool_or(t.manage_workspaces), false) AS manage_workspaces,
           coalesce(bool_or(t.read_workspaces), false) AS read_workspaces,
           coalesce(bool_or(t.manage_projects), false) AS manage_projects,
           coalesce(bool_or(t.read_projects), false) AS read_projects,
           coalesce(bool_or(t.manage_membership), false) AS manage_membership,
           coalesce(bool_or(t.manage_teams), false) AS manage_teams,
           coalesce(bool_or(t.manage_organization_access), false) AS manage_organization_access,
           coalesce(bool_or(t.access_secret_teams), false) AS access_secret_teams,
           coalesce(bool_or(t.manage_policies), false) AS manage_policies,
           coalesce(bool_or(t.manage_policy_overrides), false) AS manage_policy_overrides,
           coalesce(bool_or(t.manage_vcs_settings), false) AS manage_vcs_settings,
           coalesce(bool_or(t.manage_run_tasks), false) AS manage_run_tasks,
           coalesce(bool_or(t.manage_agent_pools), false) AS manage_agent_pools,
           coalesce(bool_or(t.manage_modules), false) AS manage_modules,
           coalesce(bool_or(t.manage_providers), false) AS manage_providers
      FROM mine t WHERE t.organization_id = o.id) g
 WHERE lower(o.name) = ANY ($1::text[])

-- The same for one. PostgreSQL keeps a plan for it, where it would make one for each call of the form for many.
-- name: access_organization
WITH mine AS MATERIALIZED (
  SELECT t.* FROM terrane.principal_teams p CROSS JOIN LATERAL (
    SELECT * FROM terrane.teams t WHERE t.id = p.team_id OFFSET 0) t
   WHERE p.kind = $2 AND p.id = $3)
SELECT o.id, o.name, o.user_tokens_enabled, o.is_disabled, g.*,
       coalesce((SELECT p.id FROM terrane.projects p WHERE p.organization_id = o.id AND p.is_default), '') AS default_project,
       $2 = 'organization' AND o.id = $3 AS is_itself,
       g.has_team OR ($2 = 'user' AND EXISTS (
         SELECT FROM terrane.organization_memberships m WHERE m.organization_id = o.id AND m.user_id = $3)) AS belongs
  FROM terrane.organizations o CROSS JOIN LATERAL (
    SELECT count(*) > 0 AS has_team,
           coalesce(bool_or(t.name = 'owners'), false) AS owns,
           coalesce(bool_or(t.manage_workspaces), false) AS manage_workspaces,
           coalesce(bool_or(t.read_workspaces), false) AS read_workspaces,
           coalesce(bool_or(t.manage_projects), false) AS manage_projects,
           coalesce(bool_or(t.read_projects), false) AS read_projects,
           coalesce(bool_or(t.manage_membership), false) AS manage_membership,
           coalesce(bool_or(t.manage_teams), false) AS manage_teams,
           coalesce(bool_or(t.manage_organization_access), false) AS manage_organization_access,
           coalesce(bool_or(t.access_secret_teams), false) AS access_secret_teams,
           coalesce(bool_or(t.manage_policies), false) AS manage_policies,
           coalesce(bool_or(t.manage_policy_overrides), false) AS manage_policy_overrides,
           coalesce(bool_or(t.manage_vcs_settings), false) AS manage_vcs_settings,
           coalesce(bool_or(t.manage_run_tasks), false) AS manage_run_tasks,
           coalesce(bool_or(t.manage_agent_pools), false) AS manage_agent_pools,
           coalesce(bool_or(t.manage_modules), false) AS manage_modules,
           coalesce(bool_or(t.manage_providers), false) AS manage_providers
      FROM mine t WHERE t.organization_id = o.id) g
 WHERE lower(o.name) = lower($1)

-- A level comes from the workspace's or from its project's grant, whichever is higher. NULL OR true is true, and bool_or
-- passes over NULL, so a grant that is missing takes nothing away.
-- name: access_workspaces
WITH mine AS MATERIALIZED (
  SELECT t.* FROM terrane.principal_teams p CROSS JOIN LATERAL (
    SELECT * FROM terrane.teams t WHERE t.id = p.team_id OFFSET 0) t
   WHERE p.kind = $2 AND p.id = $3)
SELECT w.id, w.organization_id, o.user_tokens_enabled, o.is_disabled, g.*,
       $2 = 'organization' AND w.organization_id = $3 AS is_its_organization,
       $2 = 'run' AND (w.id = $4 OR w.global_remote_state
         OR (w.project_remote_state AND w.project_id = (SELECT r.project_id FROM terrane.workspaces r WHERE r.id = $4)) OR EXISTS (
         SELECT FROM terrane.remote_state_consumers c WHERE c.workspace_id = w.id AND c.consumer_id = $4)) AS shares
  FROM terrane.workspaces w JOIN terrane.organizations o ON o.id = w.organization_id CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(t.name = 'owners'), false) AS owns,
           coalesce(bool_or(t.name = 'owners' OR t.manage_projects), false) AS manages_projects,
           coalesce(bool_or(t.name = 'owners' OR t.manage_workspaces OR t.manage_projects), false) AS manages,
           coalesce(bool_or(t.read_workspaces), false) AS reads,
           coalesce(bool_or(t.manage_policies OR t.manage_policy_overrides OR t.manage_agent_pools), false) AS sees,
           coalesce(bool_or(tw.id IS NOT NULL OR tp.id IS NOT NULL), false) AS granted,
           coalesce(bool_or(tw.access = 'admin' OR tp.access IN ('maintain', 'admin')), false) AS administers,
           coalesce(bool_or(tw.runs IN ('plan', 'apply') OR tp.runs IN ('plan', 'apply')), false) AS plans,
           coalesce(bool_or(tw.runs = 'apply' OR tp.runs = 'apply'), false) AS applies,
           coalesce(bool_or(tw.variables <> 'none' OR tp.variables <> 'none'), false) AS reads_variables,
           coalesce(bool_or(tw.variables = 'write' OR tp.variables = 'write'), false) AS writes_variables,
           coalesce(bool_or(tw.state_versions <> 'none' OR tp.state_versions <> 'none'), false) AS reads_outputs,
           coalesce(bool_or(tw.state_versions IN ('read', 'write') OR tp.state_versions IN ('read', 'write')), false) AS reads_state,
           coalesce(bool_or(tw.state_versions = 'write' OR tp.state_versions = 'write'), false) AS writes_state,
           coalesce(bool_or(tw.sentinel_mocks = 'read' OR tp.sentinel_mocks = 'read'), false) AS reads_mocks,
           coalesce(bool_or(tw.workspace_locking OR tp.locking), false) AS locks,
           coalesce(bool_or(tw.run_tasks OR tp.run_tasks), false) AS manages_tasks,
           coalesce(bool_or(tp.move_workspaces), false) AS moves,
           coalesce(bool_or(tp.delete_workspaces), false) AS deletes
      FROM mine t
      LEFT JOIN terrane.team_workspaces tw ON tw.team_id = t.id AND tw.workspace_id = w.id
      LEFT JOIN terrane.team_projects tp ON tp.team_id = t.id AND tp.project_id = w.project_id
     WHERE t.organization_id = w.organization_id) g
 WHERE w.id = ANY ($1::text[])

-- name: access_workspace
WITH mine AS MATERIALIZED (
  SELECT t.* FROM terrane.principal_teams p CROSS JOIN LATERAL (
    SELECT * FROM terrane.teams t WHERE t.id = p.team_id OFFSET 0) t
   WHERE p.kind = $2 AND p.id = $3)
SELECT w.id, w.organization_id, o.user_tokens_enabled, o.is_disabled, g.*,
       $2 = 'organization' AND w.organization_id = $3 AS is_its_organization,
       $2 = 'run' AND (w.id = $4 OR w.global_remote_state
         OR (w.project_remote_state AND w.project_id = (SELECT r.project_id FROM terrane.workspaces r WHERE r.id = $4)) OR EXISTS (
         SELECT FROM terrane.remote_state_consumers c WHERE c.workspace_id = w.id AND c.consumer_id = $4)) AS shares
  FROM terrane.workspaces w JOIN terrane.organizations o ON o.id = w.organization_id CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(t.name = 'owners'), false) AS owns,
           coalesce(bool_or(t.name = 'owners' OR t.manage_projects), false) AS manages_projects,
           coalesce(bool_or(t.name = 'owners' OR t.manage_workspaces OR t.manage_projects), false) AS manages,
           coalesce(bool_or(t.read_workspaces), false) AS reads,
           coalesce(bool_or(t.manage_policies OR t.manage_policy_overrides OR t.manage_agent_pools), false) AS sees,
           coalesce(bool_or(tw.id IS NOT NULL OR tp.id IS NOT NULL), false) AS granted,
           coalesce(bool_or(tw.access = 'admin' OR tp.access IN ('maintain', 'admin')), false) AS administers,
           coalesce(bool_or(tw.runs IN ('plan', 'apply') OR tp.runs IN ('plan', 'apply')), false) AS plans,
           coalesce(bool_or(tw.runs = 'apply' OR tp.runs = 'apply'), false) AS applies,
           coalesce(bool_or(tw.variables <> 'none' OR tp.variables <> 'none'), false) AS reads_variables,
           coalesce(bool_or(tw.variables = 'write' OR tp.variables = 'write'), false) AS writes_variables,
           coalesce(bool_or(tw.state_versions <> 'none' OR tp.state_versions <> 'none'), false) AS reads_outputs,
           coalesce(bool_or(tw.state_versions IN ('read', 'write') OR tp.state_versions IN ('read', 'write')), false) AS reads_state,
           coalesce(bool_or(tw.state_versions = 'write' OR tp.state_versions = 'write'), false) AS writes_state,
           coalesce(bool_or(tw.sentinel_mocks = 'read' OR tp.sentinel_mocks = 'read'), false) AS reads_mocks,
           coalesce(bool_or(tw.workspace_locking OR tp.locking), false) AS locks,
           coalesce(bool_or(tw.run_tasks OR tp.run_tasks), false) AS manages_tasks,
           coalesce(bool_or(tp.move_workspaces), false) AS moves,
           coalesce(bool_or(tp.delete_workspaces), false) AS deletes
      FROM mine t
      LEFT JOIN terrane.team_workspaces tw ON tw.team_id = t.id AND tw.workspace_id = w.id
      LEFT JOIN terrane.team_projects tp ON tp.team_id = t.id AND tp.project_id = w.project_id
     WHERE t.organization_id = w.organization_id) g
 WHERE w.id = $1

-- name: access_projects
WITH mine AS MATERIALIZED (
  SELECT t.* FROM terrane.principal_teams p CROSS JOIN LATERAL (
    SELECT * FROM terrane.teams t WHERE t.id = p.team_id OFFSET 0) t
   WHERE p.kind = $2 AND p.id = $3)
SELECT j.id, j.is_default, o.user_tokens_enabled, o.is_disabled, g.*, $2 = 'organization' AND j.organization_id = $3 AS is_its_organization
  FROM terrane.projects j JOIN terrane.organizations o ON o.id = j.organization_id CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(t.name = 'owners' OR t.manage_projects), false) AS manages,
           coalesce(bool_or(t.manage_workspaces), false) AS manages_workspaces,
           coalesce(bool_or(t.read_projects OR t.manage_agent_pools), false) AS reads,
           coalesce(bool_or(tp.id IS NOT NULL), false) AS granted,
           coalesce(bool_or(tp.settings IN ('update', 'delete')), false) AS updates,
           coalesce(bool_or(tp.settings = 'delete'), false) AS destroys,
           coalesce(bool_or(tp.create_workspaces), false) AS creates_workspaces,
           coalesce(bool_or(tp.delete_workspaces), false) AS deletes_workspaces,
           coalesce(bool_or(tp.move_workspaces), false) AS moves_workspaces,
           coalesce(bool_or(tp.teams <> 'none'), false) AS reads_teams,
           coalesce(bool_or(tp.teams = 'manage'), false) AS manages_teams,
           coalesce(bool_or(tp.variable_sets <> 'none'), false) AS reads_sets,
           coalesce(bool_or(tp.variable_sets = 'write'), false) AS writes_sets
      FROM mine t
      LEFT JOIN terrane.team_projects tp ON tp.team_id = t.id AND tp.project_id = j.id
     WHERE t.organization_id = j.organization_id) g
 WHERE j.id = ANY ($1::text[])

-- name: access_scope
WITH mine AS MATERIALIZED (
  SELECT t.* FROM terrane.principal_teams p CROSS JOIN LATERAL (
    SELECT * FROM terrane.teams t WHERE t.id = p.team_id OFFSET 0) t
   WHERE p.kind = $1 AND p.id = $2 AND t.organization_id = $3)
SELECT coalesce((SELECT bool_or(t.name = 'owners' OR t.manage_workspaces OR t.manage_projects OR t.read_workspaces OR t.manage_policies
                                OR t.manage_policy_overrides OR t.manage_agent_pools) FROM mine t), false) AS all_workspaces,
       coalesce((SELECT bool_or(t.name = 'owners' OR t.manage_workspaces OR t.manage_projects OR t.read_projects OR t.manage_agent_pools)
                   FROM mine t), false) AS all_projects,
       ARRAY(SELECT DISTINCT tp.project_id FROM terrane.team_projects tp WHERE tp.team_id = ANY (ARRAY(SELECT id FROM mine))) AS projects,
       ARRAY(SELECT DISTINCT tw.workspace_id FROM terrane.team_workspaces tw WHERE tw.team_id = ANY (ARRAY(SELECT id FROM mine))) AS workspaces

-- name: access_scope_of_run
SELECT ARRAY(
  SELECT w.id FROM terrane.workspaces w
   WHERE w.organization_id = $1
     AND (w.id = $2 OR w.global_remote_state
          OR (w.project_remote_state AND w.project_id = (SELECT r.project_id FROM terrane.workspaces r WHERE r.id = $2)))
  UNION
  SELECT w.id FROM terrane.remote_state_consumers c JOIN terrane.workspaces w ON w.id = c.workspace_id
   WHERE c.consumer_id = $2 AND w.organization_id = $1) AS workspaces
