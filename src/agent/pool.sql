-- name: agent_pool_find
SELECT a.id, a.name, a.organization_scoped, a.created_at, o.name AS organization,
       ARRAY(SELECT w.id FROM terrane.workspaces w WHERE w.agent_pool_id = a.id ORDER BY w.id) AS workspaces,
       ARRAY(SELECT l.workspace_id FROM terrane.agent_pool_allowed_workspaces l WHERE l.agent_pool_id = a.id ORDER BY 1) AS allowed_workspaces,
       ARRAY(SELECT l.project_id FROM terrane.agent_pool_allowed_projects l WHERE l.agent_pool_id = a.id ORDER BY 1) AS allowed_projects,
       ARRAY(SELECT l.workspace_id FROM terrane.agent_pool_excluded_workspaces l WHERE l.agent_pool_id = a.id ORDER BY 1) AS excluded_workspaces
  FROM terrane.agent_pools a JOIN terrane.organizations o ON o.id = a.organization_id
 WHERE a.id = ANY ($1::text[]) ORDER BY lower(a.name), a.id

-- name: agent_pool_list
SELECT a.id, a.name, a.organization_scoped, a.created_at, o.name AS organization,
       ARRAY(SELECT w.id FROM terrane.workspaces w WHERE w.agent_pool_id = a.id ORDER BY w.id) AS workspaces,
       ARRAY(SELECT l.workspace_id FROM terrane.agent_pool_allowed_workspaces l WHERE l.agent_pool_id = a.id ORDER BY 1) AS allowed_workspaces,
       ARRAY(SELECT l.project_id FROM terrane.agent_pool_allowed_projects l WHERE l.agent_pool_id = a.id ORDER BY 1) AS allowed_projects,
       ARRAY(SELECT l.workspace_id FROM terrane.agent_pool_excluded_workspaces l WHERE l.agent_pool_id = a.id ORDER BY 1) AS excluded_workspaces
  FROM terrane.agent_pools a JOIN terrane.organizations o ON o.id = a.organization_id
 WHERE a.organization_id = $1 AND position(lower($2) IN lower(a.name)) > 0
   AND ($3 = '' OR EXISTS (
         SELECT FROM terrane.workspaces w
          WHERE w.organization_id = a.organization_id AND w.name = $3
            AND (a.organization_scoped
              OR EXISTS (SELECT FROM terrane.agent_pool_allowed_workspaces l WHERE l.agent_pool_id = a.id AND l.workspace_id = w.id)
              OR EXISTS (SELECT FROM terrane.agent_pool_allowed_projects l WHERE l.agent_pool_id = a.id AND l.project_id = w.project_id))
            AND NOT EXISTS (SELECT FROM terrane.agent_pool_excluded_workspaces l WHERE l.agent_pool_id = a.id AND l.workspace_id = w.id)))
   AND ($4 = '' OR EXISTS (
         SELECT FROM terrane.projects p
          WHERE p.organization_id = a.organization_id AND p.name = $4
            AND (a.organization_scoped
              OR EXISTS (SELECT FROM terrane.agent_pool_allowed_projects l WHERE l.agent_pool_id = a.id AND l.project_id = p.id))))
 ORDER BY CASE WHEN $5 = 'created-at' THEN a.created_at END, CASE WHEN $5 = '-created-at' THEN a.created_at END DESC,
       CASE WHEN $5 = '-name' THEN lower(a.name) END DESC, lower(a.name), a.id
 LIMIT $6 OFFSET $7

-- name: agent_pool_count
SELECT count(*) AS total FROM terrane.agent_pools a
 WHERE a.organization_id = $1 AND position(lower($2) IN lower(a.name)) > 0
   AND ($3 = '' OR EXISTS (
         SELECT FROM terrane.workspaces w
          WHERE w.organization_id = a.organization_id AND w.name = $3
            AND (a.organization_scoped
              OR EXISTS (SELECT FROM terrane.agent_pool_allowed_workspaces l WHERE l.agent_pool_id = a.id AND l.workspace_id = w.id)
              OR EXISTS (SELECT FROM terrane.agent_pool_allowed_projects l WHERE l.agent_pool_id = a.id AND l.project_id = w.project_id))
            AND NOT EXISTS (SELECT FROM terrane.agent_pool_excluded_workspaces l WHERE l.agent_pool_id = a.id AND l.workspace_id = w.id)))
   AND ($4 = '' OR EXISTS (
         SELECT FROM terrane.projects p
          WHERE p.organization_id = a.organization_id AND p.name = $4
            AND (a.organization_scoped
              OR EXISTS (SELECT FROM terrane.agent_pool_allowed_projects l WHERE l.agent_pool_id = a.id AND l.project_id = p.id))))

-- name: agent_pool_insert
INSERT INTO terrane.agent_pools (id, organization_id, name, organization_scoped) VALUES ($1, $2, $3, $4)

-- name: agent_pool_update
UPDATE terrane.agent_pools SET name = $2, organization_scoped = $3 WHERE id = $1

-- name: agent_pool_delete
DELETE FROM terrane.agent_pools WHERE id = $1

-- name: agent_pool_clear_allowed_workspaces
DELETE FROM terrane.agent_pool_allowed_workspaces WHERE agent_pool_id = $1

-- Adds those that belong to the pool's organization; the number says whether all do.
-- name: agent_pool_add_allowed_workspaces
INSERT INTO terrane.agent_pool_allowed_workspaces (agent_pool_id, workspace_id)
SELECT a.id, s.id FROM terrane.agent_pools a JOIN terrane.workspaces s ON s.organization_id = a.organization_id
 WHERE a.id = $1 AND s.id = ANY ($2::text[])

-- name: agent_pool_clear_allowed_projects
DELETE FROM terrane.agent_pool_allowed_projects WHERE agent_pool_id = $1

-- Adds those that belong to the pool's organization; the number says whether all do.
-- name: agent_pool_add_allowed_projects
INSERT INTO terrane.agent_pool_allowed_projects (agent_pool_id, project_id)
SELECT a.id, s.id FROM terrane.agent_pools a JOIN terrane.projects s ON s.organization_id = a.organization_id
 WHERE a.id = $1 AND s.id = ANY ($2::text[])

-- name: agent_pool_clear_excluded_workspaces
DELETE FROM terrane.agent_pool_excluded_workspaces WHERE agent_pool_id = $1

-- Adds those that belong to the pool's organization; the number says whether all do.
-- name: agent_pool_add_excluded_workspaces
INSERT INTO terrane.agent_pool_excluded_workspaces (agent_pool_id, workspace_id)
SELECT a.id, s.id FROM terrane.agent_pools a JOIN terrane.workspaces s ON s.organization_id = a.organization_id
 WHERE a.id = $1 AND s.id = ANY ($2::text[])
