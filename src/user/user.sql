-- name: user_find
SELECT id, username, email, is_site_admin, is_service_account FROM terrane.users WHERE id = $1

-- name: user_insert
INSERT INTO terrane.users (id, username, email, password_hash, is_site_admin, is_service_account)
VALUES ($1, $2, $3, $4, $5, $6)

-- The cached authentications of the user carry the name.
-- name: user_update
WITH changed AS (
  UPDATE terrane.users u SET username = n.username, email = n.email
    FROM (SELECT (jsonb_populate_record(old, $2)).* FROM terrane.users old WHERE old.id = $1) n
   WHERE u.id = $1
  RETURNING u.id, u.username, u.email, u.is_site_admin, u.is_service_account)
SELECT changed.*, pg_notify('terrane_tokens', '') IS NULL AS notified FROM changed

-- name: user_password
SELECT password_hash FROM terrane.users WHERE id = $1

-- Changes only the hash that was checked, so that two changes at once cannot both succeed.
-- name: user_set_password
UPDATE terrane.users SET password_hash = $3 WHERE id = $1 AND password_hash IS NOT DISTINCT FROM $2

-- name: user_shares_organization
SELECT EXISTS (
  SELECT FROM terrane.team_members m
    JOIN terrane.teams t ON t.id = m.team_id
   WHERE m.user_id = $3
     AND CASE $1
           WHEN 'user' THEN t.organization_id IN (
             SELECT t2.organization_id FROM terrane.team_members m2 JOIN terrane.teams t2 ON t2.id = m2.team_id WHERE m2.user_id = $2)
           WHEN 'organization' THEN t.organization_id = $2
           WHEN 'team' THEN t.organization_id = (SELECT t3.organization_id FROM terrane.teams t3 WHERE t3.id = $2)
           ELSE false
         END) AS shares

-- name: user_find_visible
SELECT u.id, u.username, u.email, u.is_site_admin, u.is_service_account FROM terrane.users u
 WHERE u.id = ANY ($4::text[])
   AND CASE $1
         WHEN 'admin' THEN true
         WHEN 'user' THEN u.id = $2 OR EXISTS (
           SELECT FROM terrane.team_members m JOIN terrane.teams t ON t.id = m.team_id
             JOIN terrane.teams t2 ON t2.organization_id = t.organization_id JOIN terrane.team_members m2 ON m2.team_id = t2.id
            WHERE m.user_id = u.id AND m2.user_id = $2)
         ELSE EXISTS (
           SELECT FROM terrane.team_members m JOIN terrane.teams t ON t.id = m.team_id
            WHERE m.user_id = u.id AND t.organization_id = $3)
       END
 ORDER BY u.username

-- One lock for everything that depends on "there is no user yet".
-- name: user_lock_table
LOCK TABLE terrane.users IN SHARE ROW EXCLUSIVE MODE

-- name: user_any
SELECT EXISTS (SELECT FROM terrane.users) AS any_user

-- name: user_first_site_admin
SELECT id, username, email, is_site_admin, is_service_account FROM terrane.users
 WHERE is_site_admin ORDER BY created_at, id LIMIT 1

-- name: initial_admin_token_insert
INSERT INTO terrane.initial_admin_tokens (hash, expires_at)
SELECT $1, now() + interval '60 minutes' WHERE NOT EXISTS (SELECT FROM terrane.users)
RETURNING 1 AS made

-- name: initial_admin_token_forget_expired
DELETE FROM terrane.initial_admin_tokens WHERE expires_at <= now()

-- name: initial_admin_token_valid
SELECT EXISTS (SELECT FROM terrane.initial_admin_tokens WHERE hash = $1 AND expires_at > now()) AS valid,
       EXISTS (SELECT FROM terrane.users) AS any_user

-- The right to make the first admin is used up by the insert that uses it.
-- name: initial_admin_insert
WITH used AS (DELETE FROM terrane.initial_admin_tokens WHERE hash = $1 AND expires_at > now() RETURNING hash)
INSERT INTO terrane.users (id, username, email, password_hash, is_site_admin)
SELECT $2, $3, $4, $5, true FROM used WHERE NOT EXISTS (SELECT FROM terrane.users)
