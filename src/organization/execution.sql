-- Whether a pool is for the whole organization or for this project or workspace, and does not exclude it.
-- name: execution_pool
SELECT (p.organization_scoped
        OR EXISTS (SELECT FROM terrane.agent_pool_allowed_projects a WHERE a.agent_pool_id = p.id AND a.project_id = $3)
        OR EXISTS (SELECT FROM terrane.agent_pool_allowed_workspaces a WHERE a.agent_pool_id = p.id AND a.workspace_id = $4))
       AND NOT EXISTS (SELECT FROM terrane.agent_pool_excluded_workspaces e WHERE e.agent_pool_id = p.id AND e.workspace_id = $4) AS usable
  FROM terrane.agent_pools p WHERE p.id = $1 AND p.organization_id = $2
