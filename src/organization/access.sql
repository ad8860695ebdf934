-- Whether a user, team or organization owns an organization or belongs to it. Runs are judged by what their token says.
-- name: access_organization
SELECT o.id, o.name, (SELECT p.id FROM terrane.projects p WHERE p.organization_id = o.id AND p.is_default) AS default_project,
       CASE $2
         WHEN 'user' THEN EXISTS (
           SELECT FROM terrane.team_members m JOIN terrane.teams t ON t.id = m.team_id
            WHERE m.user_id = $3 AND t.organization_id = o.id AND t.name = 'owners')
         WHEN 'team' THEN EXISTS (SELECT FROM terrane.teams t WHERE t.id = $3 AND t.organization_id = o.id AND t.name = 'owners')
         WHEN 'organization' THEN o.id = $3
         ELSE false
       END AS owns,
       CASE $2
         WHEN 'user' THEN EXISTS (
           SELECT FROM terrane.team_members m JOIN terrane.teams t ON t.id = m.team_id
            WHERE m.user_id = $3 AND t.organization_id = o.id)
         WHEN 'team' THEN EXISTS (SELECT FROM terrane.teams t WHERE t.id = $3 AND t.organization_id = o.id)
         ELSE false
       END AS belongs
  FROM terrane.organizations o
 WHERE lower(o.name) = lower($1)

-- name: access_organization_by_id
SELECT o.id, o.name, (SELECT p.id FROM terrane.projects p WHERE p.organization_id = o.id AND p.is_default) AS default_project,
       CASE $2
         WHEN 'user' THEN EXISTS (
           SELECT FROM terrane.team_members m JOIN terrane.teams t ON t.id = m.team_id
            WHERE m.user_id = $3 AND t.organization_id = o.id AND t.name = 'owners')
         WHEN 'team' THEN EXISTS (SELECT FROM terrane.teams t WHERE t.id = $3 AND t.organization_id = o.id AND t.name = 'owners')
         WHEN 'organization' THEN o.id = $3
         ELSE false
       END AS owns,
       CASE $2
         WHEN 'user' THEN EXISTS (
           SELECT FROM terrane.team_members m JOIN terrane.teams t ON t.id = m.team_id
            WHERE m.user_id = $3 AND t.organization_id = o.id)
         WHEN 'team' THEN EXISTS (SELECT FROM terrane.teams t WHERE t.id = $3 AND t.organization_id = o.id)
         ELSE false
       END AS belongs
  FROM terrane.organizations o
 WHERE o.id = $1

-- name: access_workspaces
SELECT w.id, w.organization_id,
       w.global_remote_state
       OR (w.project_remote_state AND w.project_id = (SELECT c.project_id FROM terrane.workspaces c WHERE c.id = $4))
       OR EXISTS (SELECT FROM terrane.remote_state_consumers c WHERE c.workspace_id = w.id AND c.consumer_id = $4) AS shares,
       CASE $2
         WHEN 'user' THEN EXISTS (
           SELECT FROM terrane.team_members m JOIN terrane.teams t ON t.id = m.team_id
            WHERE m.user_id = $3 AND t.organization_id = w.organization_id AND t.name = 'owners')
         WHEN 'team' THEN EXISTS (
           SELECT FROM terrane.teams t WHERE t.id = $3 AND t.organization_id = w.organization_id AND t.name = 'owners')
         WHEN 'organization' THEN w.organization_id = $3
         ELSE false
       END AS owns
  FROM terrane.workspaces w
 WHERE w.id = ANY ($1::text[])

-- name: access_projects
SELECT p.id,
       CASE $2
         WHEN 'user' THEN EXISTS (
           SELECT FROM terrane.team_members m JOIN terrane.teams t ON t.id = m.team_id
            WHERE m.user_id = $3 AND t.organization_id = p.organization_id AND t.name = 'owners')
         WHEN 'team' THEN EXISTS (
           SELECT FROM terrane.teams t WHERE t.id = $3 AND t.organization_id = p.organization_id AND t.name = 'owners')
         WHEN 'organization' THEN p.organization_id = $3
         ELSE false
       END AS owns,
       CASE $2
         WHEN 'user' THEN EXISTS (
           SELECT FROM terrane.team_members m JOIN terrane.teams t ON t.id = m.team_id
            WHERE m.user_id = $3 AND t.organization_id = p.organization_id)
         WHEN 'team' THEN EXISTS (SELECT FROM terrane.teams t WHERE t.id = $3 AND t.organization_id = p.organization_id)
         ELSE false
       END AS belongs
  FROM terrane.projects p
 WHERE p.id = ANY ($1::text[])

-- What a run reads: its own workspace and those that share with it.
-- name: access_scope_of_run
SELECT coalesce(array_agg(w.id), '{}') AS workspaces FROM terrane.workspaces w
 WHERE w.organization_id = $1
   AND (w.id = $2 OR w.global_remote_state
        OR (w.project_remote_state AND w.project_id = (SELECT c.project_id FROM terrane.workspaces c WHERE c.id = $2))
        OR EXISTS (SELECT FROM terrane.remote_state_consumers c WHERE c.workspace_id = w.id AND c.consumer_id = $2))
