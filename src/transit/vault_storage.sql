-- name: vault_get
SELECT value FROM vault.storage WHERE path = $1

-- name: vault_list
SELECT path FROM vault.storage WHERE starts_with(path, $1) ORDER BY path

-- name: vault_insert
INSERT INTO vault.storage (path, value) VALUES ($1, $2) ON CONFLICT (path) DO NOTHING

-- name: vault_update
UPDATE vault.storage SET value = $2, updated_at = now() WHERE path = $1 AND value = $3

-- name: vault_erase
DELETE FROM vault.storage WHERE path = $1 AND value = $2
