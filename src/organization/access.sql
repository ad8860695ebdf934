-- Whether a user, team or organization owns an organization or belongs to it. Runs are judged by what their token says.
-- name: access_organization
SELECT o.id, o.name,
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

-- name: access_workspace
SELECT w.organization_id,
       w.global_remote_state OR EXISTS (
         SELECT FROM terrane.remote_state_consumers c WHERE c.workspace_id = w.id AND c.consumer_id = $4) AS shares,
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
 WHERE w.id = $1
