-- name: token_insert
INSERT INTO terrane.tokens (id, kind, owner_id, hash, description, created_by, expired_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING created_at, (SELECT o.name FROM terrane.organizations o WHERE o.id = $6) AS created_by_name

-- name: token_list
SELECT t.*, o.name AS created_by_name FROM terrane.tokens t LEFT JOIN terrane.organizations o ON o.id = t.created_by
 WHERE t.kind = $1 AND t.owner_id = $2 ORDER BY t.created_at DESC, t.id LIMIT $3 OFFSET $4

-- name: token_count
SELECT count(*) AS total FROM terrane.tokens WHERE kind = $1 AND owner_id = $2

-- name: token_find
SELECT t.*, o.name AS created_by_name FROM terrane.tokens t LEFT JOIN terrane.organizations o ON o.id = t.created_by
 WHERE t.id = $1 AND t.kind = $2 AND t.owner_id = $3

-- name: token_find_any
SELECT t.*, o.name AS created_by_name FROM terrane.tokens t LEFT JOIN terrane.organizations o ON o.id = t.created_by
 WHERE t.id = $1

-- name: token_revoke
WITH gone AS (DELETE FROM terrane.tokens WHERE id = $1 AND kind = $2 AND owner_id = $3 RETURNING id)
SELECT id, pg_notify('terrane_tokens', id) IS NULL AS notified FROM gone

-- name: token_revoke_all
WITH gone AS (DELETE FROM terrane.tokens WHERE kind = $1 AND owner_id = $2 RETURNING id)
SELECT id, pg_notify('terrane_tokens', id) IS NULL AS notified FROM gone

-- name: token_revoke_expired
DELETE FROM terrane.tokens WHERE kind = $1 AND owner_id = $2 AND expired_at <= now()

-- Who a token stands for. A row without its owner gives no name and so nobody.
-- name: token_authenticate
SELECT t.id, t.kind, t.owner_id,
       coalesce(u.username, o.name, m.name, r.id) AS name,
       coalesce(u.is_site_admin, false) AS is_site_admin,
       coalesce(o.id, m.organization_id, w.organization_id) AS organization_id,
       w.id AS workspace_id,
       (extract(epoch FROM t.expired_at - now()) * 1000)::bigint AS milliseconds_left,
       coalesce(t.last_used_at < now() - interval '1 minute', true) AS untouched
  FROM terrane.tokens t
  LEFT JOIN terrane.users u ON t.kind = 'user' AND u.id = t.owner_id
  LEFT JOIN terrane.organizations o ON t.kind IN ('organization', 'audit-trails') AND o.id = t.owner_id
  LEFT JOIN terrane.teams m ON t.kind = 'team' AND m.id = t.owner_id
  LEFT JOIN terrane.runs r ON t.kind = 'run' AND r.id = t.owner_id
  LEFT JOIN terrane.workspaces w ON w.id = r.workspace_id
 WHERE t.hash = $1 AND (t.expired_at IS NULL OR t.expired_at > now())

-- Whoever uses a token of their own is here, and has so accepted every invitation.
-- name: token_touch
WITH touched AS (
  UPDATE terrane.tokens SET last_used_at = now()
   WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
  RETURNING kind, owner_id)
UPDATE terrane.organization_memberships b SET status = 'active'
  FROM touched WHERE touched.kind = 'user' AND b.user_id = touched.owner_id AND b.status = 'invited'
