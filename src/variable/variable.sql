-- name: variable_list
SELECT id, workspace_id, key, NULL::text AS value, description, category, hcl, sensitive, version_id, sealed_value
  FROM terrane.variables WHERE workspace_id = $1 ORDER BY created_at, id

-- name: variable_find
SELECT id, workspace_id, key, NULL::text AS value, description, category, hcl, sensitive, version_id, sealed_value
  FROM terrane.variables WHERE workspace_id = $1 AND id = $2

-- name: variable_find_locked
SELECT id, workspace_id, key, NULL::text AS value, description, category, hcl, sensitive, version_id, sealed_value
  FROM terrane.variables WHERE workspace_id = $1 AND id = $2 FOR UPDATE

-- Inserts nothing when the workspace would hold too many ($10) or too much ($11).
-- name: variable_insert
INSERT INTO terrane.variables (id, workspace_id, key, sealed_value, category, hcl, sensitive, description, version_id)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
 WHERE (SELECT count(*) < $10 AND coalesce(sum(octet_length(v.sealed_value)), 0) + octet_length($4::text) <= $11
          FROM terrane.variables v WHERE v.workspace_id = $2)

-- name: variable_update
UPDATE terrane.variables
   SET key = $3, sealed_value = $4, category = $5, hcl = $6, sensitive = $7, description = $8, version_id = $9
 WHERE workspace_id = $2 AND id = $1
   AND (SELECT coalesce(sum(octet_length(v.sealed_value)), 0) + octet_length($4::text) <= $10
          FROM terrane.variables v WHERE v.workspace_id = $2 AND v.id <> $1)

-- name: variable_delete
DELETE FROM terrane.variables WHERE workspace_id = $1 AND id = $2
