-- name: module_find
SELECT m.*, o.name AS organization FROM terrane.registry_modules m JOIN terrane.organizations o ON o.id = m.organization_id WHERE m.id = $1

-- The name of a private module's namespace is its organization's, compared as names of organizations are.
-- name: module_at
SELECT m.*, o.name AS organization FROM terrane.registry_modules m JOIN terrane.organizations o ON o.id = m.organization_id
 WHERE m.organization_id = $1 AND ($2 = '' OR m.registry_name = $2) AND ($3 = '' OR lower(m.namespace) = lower($3)) AND m.name = $4
   AND ($5 = '' OR m.provider = $5)
 ORDER BY m.provider, m.id

-- name: module_list
SELECT m.*, o.name AS organization FROM terrane.registry_modules m JOIN terrane.organizations o ON o.id = m.organization_id
 WHERE m.organization_id = $1 AND ($2 = '' OR position(lower($2) IN lower(m.name || ' ' || m.namespace || ' ' || m.provider)) > 0)
   AND ($3 = '' OR m.provider = $3) AND ($4 = '' OR m.registry_name = $4)
 ORDER BY m.name, m.provider, m.id LIMIT $5 OFFSET $6

-- name: module_count
SELECT count(*) AS total FROM terrane.registry_modules m
 WHERE m.organization_id = $1 AND ($2 = '' OR position(lower($2) IN lower(m.name || ' ' || m.namespace || ' ' || m.provider)) > 0)
   AND ($3 = '' OR m.provider = $3) AND ($4 = '' OR m.registry_name = $4)

-- name: module_insert
INSERT INTO terrane.registry_modules (id, organization_id, registry_name, namespace, name, provider) VALUES ($1, $2, $3, $4, $5, $6)

-- name: module_delete_objects
UPDATE terrane.objects SET status = 'deleted', deleted_at = now()
 WHERE status <> 'deleted' AND id IN (SELECT object_id FROM terrane.configuration_versions WHERE registry_module_id = $1)

-- name: module_delete
DELETE FROM terrane.registry_modules WHERE id = $1
