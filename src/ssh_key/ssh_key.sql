-- name: ssh_key_list
SELECT k.id, k.name, k.sealed_value, o.name AS organization
  FROM terrane.ssh_keys k JOIN terrane.organizations o ON o.id = k.organization_id
 WHERE k.organization_id = $1 ORDER BY lower(k.name), k.id LIMIT $2 OFFSET $3

-- name: ssh_key_count
SELECT count(*) AS total FROM terrane.ssh_keys WHERE organization_id = $1

-- name: ssh_key_find
SELECT k.id, k.name, k.sealed_value, o.name AS organization
  FROM terrane.ssh_keys k JOIN terrane.organizations o ON o.id = k.organization_id WHERE k.id = $1

-- Inserts nothing when the organization would have too many ($5).
-- name: ssh_key_insert
INSERT INTO terrane.ssh_keys (id, organization_id, name, sealed_value)
SELECT $1, $2, $3, $4 WHERE (SELECT count(*) < $5 FROM terrane.ssh_keys WHERE organization_id = $2)

-- name: ssh_key_rename
UPDATE terrane.ssh_keys SET name = $2 WHERE id = $1

-- name: ssh_key_delete
DELETE FROM terrane.ssh_keys WHERE id = $1

-- name: ssh_key_unassign
UPDATE terrane.workspaces SET ssh_key_id = NULL, updated_at = now() WHERE id = $1

-- name: ssh_key_assign
UPDATE terrane.workspaces w SET ssh_key_id = k.id, updated_at = now()
  FROM terrane.ssh_keys k WHERE w.id = $1 AND k.id = $2 AND k.organization_id = w.organization_id

-- name: ssh_key_of_workspace
SELECT k.id, k.sealed_value FROM terrane.workspaces w JOIN terrane.ssh_keys k ON k.id = w.ssh_key_id WHERE w.id = $1
