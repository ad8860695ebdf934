-- name: tags_of_workspace
SELECT g.id, g.name, o.name AS organization, g.created_at,
       (SELECT count(*) FROM terrane.workspace_tags c WHERE c.tag_id = g.id) AS instances
  FROM terrane.workspace_tags x JOIN terrane.tags g ON g.id = x.tag_id JOIN terrane.organizations o ON o.id = g.organization_id
 WHERE x.workspace_id = $1 ORDER BY g.name LIMIT $2 OFFSET $3

-- name: tags_of_workspace_count
SELECT count(*) AS total FROM terrane.workspace_tags WHERE workspace_id = $1

-- name: tags_of_organization
SELECT g.id, g.name, o.name AS organization, g.created_at,
       (SELECT count(*) FROM terrane.workspace_tags c WHERE c.tag_id = g.id) AS instances
  FROM terrane.tags g JOIN terrane.organizations o ON o.id = g.organization_id
 WHERE g.organization_id = $1 AND ($2::text IS NULL OR position(lower($2::text) IN lower(g.name)) > 0)
   AND ($3::text IS NULL OR (g.id <> $3::text
        AND NOT EXISTS (SELECT FROM terrane.workspace_tags x WHERE x.tag_id = g.id AND x.workspace_id = $3::text)))
 ORDER BY g.name LIMIT $4 OFFSET $5

-- name: tags_of_organization_count
SELECT count(*) AS total FROM terrane.tags g
 WHERE g.organization_id = $1 AND ($2::text IS NULL OR position(lower($2::text) IN lower(g.name)) > 0)
   AND ($3::text IS NULL OR (g.id <> $3::text
        AND NOT EXISTS (SELECT FROM terrane.workspace_tags x WHERE x.tag_id = g.id AND x.workspace_id = $3::text)))

-- An update that changes nothing gives the id of a tag that is there, also of one that another transaction just made.
-- name: tag_make
INSERT INTO terrane.tags AS g (id, organization_id, name) VALUES ($1, $2, $3)
ON CONFLICT (organization_id, name) DO UPDATE SET name = g.name RETURNING id

-- name: tag_exists
SELECT 1 AS found FROM terrane.tags WHERE id = $1 AND organization_id = $2

-- name: tag_add
INSERT INTO terrane.workspace_tags (workspace_id, tag_id)
SELECT w.id, $2 FROM terrane.workspaces w WHERE w.id = ANY ($1::text[]) AND w.organization_id = $3 ON CONFLICT DO NOTHING

-- name: tag_take
DELETE FROM terrane.workspace_tags x USING terrane.tags g
 WHERE x.workspace_id = $1 AND g.id = x.tag_id AND (g.id = $2 OR g.name = $3)

-- name: tags_delete
DELETE FROM terrane.tags WHERE organization_id = $1 AND id = ANY ($2::text[])

-- name: tag_organization
SELECT organization_id FROM terrane.tags WHERE id = $1

-- name: tags_effective
SELECT id, workspace_id AS owner, key, value, inherited_from FROM terrane.workspace_effective_tags
 WHERE workspace_id = ANY ($1::text[]) ORDER BY workspace_id, inherited_from NULLS FIRST, position
