-- name: grant_workspace_find
SELECT to_jsonb(g) || jsonb_build_object('place_id', g.workspace_id) AS row
  FROM terrane.team_workspaces g WHERE g.id = $1

-- name: grant_workspace_list
SELECT to_jsonb(g) || jsonb_build_object('place_id', g.workspace_id) AS row
  FROM terrane.team_workspaces g JOIN terrane.teams t ON t.id = g.team_id
 WHERE g.workspace_id = $1
   AND ($2::boolean OR t.visibility = 'organization'
        OR EXISTS (SELECT FROM terrane.principal_teams p WHERE p.team_id = t.id AND p.kind = $3 AND p.id = $4))
 ORDER BY lower(t.name), g.id LIMIT $5 OFFSET $6

-- name: grant_workspace_count
SELECT count(*) AS total
  FROM terrane.team_workspaces g JOIN terrane.teams t ON t.id = g.team_id
 WHERE g.workspace_id = $1
   AND ($2::boolean OR t.visibility = 'organization'
        OR EXISTS (SELECT FROM terrane.principal_teams p WHERE p.team_id = t.id AND p.kind = $3 AND p.id = $4))

-- name: grant_workspace_insert
INSERT INTO terrane.team_workspaces (id, team_id, workspace_id, access, runs, variables, state_versions, sentinel_mocks,
  workspace_locking, run_tasks)
SELECT $1, $2, $3, n.access, n.runs, n.variables, n.state_versions, n.sentinel_mocks, n.workspace_locking, n.run_tasks
  FROM jsonb_populate_record(NULL::terrane.team_workspaces, $4) n

-- name: grant_workspace_update
UPDATE terrane.team_workspaces g
   SET (access, runs, variables, state_versions, sentinel_mocks, workspace_locking, run_tasks) =
       (SELECT n.access, n.runs, n.variables, n.state_versions, n.sentinel_mocks, n.workspace_locking, n.run_tasks
          FROM jsonb_populate_record(g, $2) n)
 WHERE g.id = $1

-- name: grant_workspace_delete
DELETE FROM terrane.team_workspaces WHERE id = $1

-- name: grant_workspace_place
SELECT o.name AS organization FROM terrane.workspaces w JOIN terrane.organizations o ON o.id = w.organization_id WHERE w.id = $1

-- name: grant_project_find
SELECT to_jsonb(g) || jsonb_build_object('place_id', g.project_id) AS row
  FROM terrane.team_projects g WHERE g.id = $1

-- name: grant_project_list
SELECT to_jsonb(g) || jsonb_build_object('place_id', g.project_id) AS row
  FROM terrane.team_projects g JOIN terrane.teams t ON t.id = g.team_id
 WHERE g.project_id = $1
   AND ($2::boolean OR t.visibility = 'organization'
        OR EXISTS (SELECT FROM terrane.principal_teams p WHERE p.team_id = t.id AND p.kind = $3 AND p.id = $4))
 ORDER BY lower(t.name), g.id LIMIT $5 OFFSET $6

-- name: grant_project_count
SELECT count(*) AS total
  FROM terrane.team_projects g JOIN terrane.teams t ON t.id = g.team_id
 WHERE g.project_id = $1
   AND ($2::boolean OR t.visibility = 'organization'
        OR EXISTS (SELECT FROM terrane.principal_teams p WHERE p.team_id = t.id AND p.kind = $3 AND p.id = $4))

-- name: grant_project_insert
INSERT INTO terrane.team_projects (id, team_id, project_id, access, settings, teams, variable_sets, runs, variables, state_versions,
  sentinel_mocks, create_workspaces, locking, move_workspaces, delete_workspaces, run_tasks)
SELECT $1, $2, $3, n.access, n.settings, n.teams, n.variable_sets, n.runs, n.variables, n.state_versions, n.sentinel_mocks,
       n.create_workspaces, n.locking, n.move_workspaces, n.delete_workspaces, n.run_tasks
  FROM jsonb_populate_record(NULL::terrane.team_projects, $4) n

-- name: grant_project_update
UPDATE terrane.team_projects g
   SET (access, settings, teams, variable_sets, runs, variables, state_versions, sentinel_mocks, create_workspaces, locking,
        move_workspaces, delete_workspaces, run_tasks) =
       (SELECT n.access, n.settings, n.teams, n.variable_sets, n.runs, n.variables, n.state_versions, n.sentinel_mocks,
               n.create_workspaces, n.locking, n.move_workspaces, n.delete_workspaces, n.run_tasks
          FROM jsonb_populate_record(g, $2) n)
 WHERE g.id = $1

-- name: grant_project_delete
DELETE FROM terrane.team_projects WHERE id = $1

-- name: grant_project_place
SELECT o.name AS organization FROM terrane.projects j JOIN terrane.organizations o ON o.id = j.organization_id WHERE j.id = $1
