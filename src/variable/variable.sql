-- name: variable_list
SELECT id, coalesce(workspace_id, variable_set_id) AS owner_id, key, NULL::text AS value, description, category, hcl, sensitive, version_id, sealed_value
  FROM terrane.variables WHERE workspace_id = $1 OR variable_set_id = $1 ORDER BY created_at, id

-- name: variable_find
SELECT id, coalesce(workspace_id, variable_set_id) AS owner_id, key, NULL::text AS value, description, category, hcl, sensitive, version_id, sealed_value
  FROM terrane.variables WHERE id = $2 AND (workspace_id = $1 OR variable_set_id = $1)

-- name: variable_find_all
SELECT id, coalesce(workspace_id, variable_set_id) AS owner_id, key, NULL::text AS value, description, category, hcl, sensitive, version_id, sealed_value
  FROM terrane.variables WHERE id = ANY ($1::text[]) ORDER BY created_at, id

-- name: variable_find_locked
SELECT id, coalesce(workspace_id, variable_set_id) AS owner_id, key, NULL::text AS value, description, category, hcl, sensitive, version_id, sealed_value
  FROM terrane.variables WHERE id = $2 AND (workspace_id = $1 OR variable_set_id = $1) FOR UPDATE

-- Inserts nothing when the workspace or set ($3 tells which) would hold too many ($11) or too much ($12).
-- name: variable_insert
INSERT INTO terrane.variables (id, workspace_id, variable_set_id, key, sealed_value, category, hcl, sensitive, description, version_id)
SELECT $1, CASE WHEN NOT $3 THEN $2 END, CASE WHEN $3 THEN $2 END, $4, $5, $6, $7, $8, $9, $10
 WHERE (SELECT count(*) < $11 AND coalesce(sum(octet_length(v.sealed_value)), 0) + octet_length($5::text) <= $12
          FROM terrane.variables v WHERE v.workspace_id = $2 OR v.variable_set_id = $2)

-- name: variable_update
UPDATE terrane.variables
   SET key = $3, sealed_value = $4, category = $5, hcl = $6, sensitive = $7, description = $8, version_id = $9
 WHERE id = $1 AND (workspace_id = $2 OR variable_set_id = $2)
   AND (SELECT coalesce(sum(octet_length(v.sealed_value)), 0) + octet_length($4::text) <= $10
          FROM terrane.variables v WHERE (v.workspace_id = $2 OR v.variable_set_id = $2) AND v.id <> $1)

-- name: variable_delete
DELETE FROM terrane.variables WHERE id = $2 AND (workspace_id = $1 OR variable_set_id = $1)

-- name: variable_effective
SELECT id, owner_id, key, NULL::text AS value, description, category, hcl, sensitive, version_id, sealed_value
  FROM terrane.effective_variables($1) ORDER BY key, category

-- name: variable_effective_size
SELECT coalesce(sum(octet_length(sealed_value)), 0)::bigint AS bytes FROM terrane.effective_variables($1)
