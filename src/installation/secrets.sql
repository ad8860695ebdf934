-- name: secret_find
SELECT wrapped FROM terrane.wrapped_secrets WHERE name = $1

-- name: secret_insert
INSERT INTO terrane.wrapped_secrets (name, wrapped) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING
