-- name: membership_find
SELECT b.id, b.organization_id, o.name AS organization, b.user_id, u.email, b.status, b.created_at
  FROM terrane.organization_memberships b JOIN terrane.organizations o ON o.id = b.organization_id
  JOIN terrane.users u ON u.id = b.user_id
 WHERE b.id = ANY ($1::text[])

-- The teams that a principal sees of those in which the members are.
-- name: membership_teams
SELECT b.id AS membership_id, t.id
  FROM terrane.organization_memberships b JOIN terrane.team_members m ON m.user_id = b.user_id
  JOIN terrane.teams t ON t.id = m.team_id AND t.organization_id = b.organization_id
 WHERE b.id = ANY ($1::text[])
   AND ($2::boolean OR t.visibility = 'organization'
        OR EXISTS (SELECT FROM terrane.principal_teams p WHERE p.team_id = t.id AND p.kind = $3 AND p.id = $4))
 ORDER BY b.id, lower(t.name)

-- name: membership_list
SELECT b.id
  FROM terrane.organization_memberships b JOIN terrane.users u ON u.id = b.user_id
 WHERE b.organization_id = $1 AND ($2::text IS NULL OR b.status = $2)
   AND (cardinality($3::text[]) = 0 OR lower(u.email) = ANY ($3))
   AND (position(lower($4) IN lower(u.email)) > 0 OR position(lower($4) IN lower(u.username)) > 0)
 ORDER BY lower(u.email) LIMIT $5 OFFSET $6

-- name: membership_count
SELECT count(*) AS total
  FROM terrane.organization_memberships b JOIN terrane.users u ON u.id = b.user_id
 WHERE b.organization_id = $1 AND ($2::text IS NULL OR b.status = $2)
   AND (cardinality($3::text[]) = 0 OR lower(u.email) = ANY ($3))
   AND (position(lower($4) IN lower(u.email)) > 0 OR position(lower($4) IN lower(u.username)) > 0)

-- name: membership_list_of_team
SELECT b.id
  FROM terrane.team_members m JOIN terrane.teams t ON t.id = m.team_id
  JOIN terrane.organization_memberships b ON b.user_id = m.user_id AND b.organization_id = t.organization_id
  JOIN terrane.users u ON u.id = b.user_id
 WHERE m.team_id = $1 AND ($2::text IS NULL OR b.status = $2)
 ORDER BY lower(u.email) LIMIT $3 OFFSET $4

-- name: membership_count_of_team
SELECT count(*) AS total
  FROM terrane.team_members m JOIN terrane.teams t ON t.id = m.team_id
  JOIN terrane.organization_memberships b ON b.user_id = m.user_id AND b.organization_id = t.organization_id
 WHERE m.team_id = $1 AND ($2::text IS NULL OR b.status = $2)

-- name: membership_list_of_user
SELECT b.id, o.name AS organization
  FROM terrane.organization_memberships b JOIN terrane.organizations o ON o.id = b.organization_id
 WHERE b.user_id = $1 ORDER BY lower(o.name) LIMIT $2 OFFSET $3

-- name: membership_count_of_user
SELECT count(*) AS total FROM terrane.organization_memberships WHERE user_id = $1

-- name: membership_user_by_email
SELECT u.id, u.password_hash IS NOT NULL OR EXISTS (
         SELECT FROM terrane.tokens k WHERE k.kind = 'user' AND k.owner_id = u.id AND k.last_used_at IS NOT NULL) AS has_been_here
  FROM terrane.users u WHERE lower(u.email) = lower($1)

-- name: membership_insert_user
INSERT INTO terrane.users (id, username, email) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING

-- name: membership_insert
INSERT INTO terrane.organization_memberships (id, organization_id, user_id, status) VALUES ($1, $2, $3, $4)

-- name: membership_leave_teams
DELETE FROM terrane.team_members m USING terrane.teams t
 WHERE t.id = m.team_id AND t.organization_id = $1 AND m.user_id = $2

-- name: membership_delete
DELETE FROM terrane.organization_memberships WHERE id = $1

-- Whether a member is an owner, or in a team that a principal does not see.
-- name: membership_untouchable_teams
SELECT EXISTS (
  SELECT FROM terrane.team_members m JOIN terrane.teams t ON t.id = m.team_id
   WHERE t.organization_id = $1 AND m.user_id = $2
     AND (t.name = 'owners'
          OR NOT ($3::boolean OR t.visibility = 'organization'
                  OR EXISTS (SELECT FROM terrane.principal_teams p WHERE p.team_id = t.id AND p.kind = $4 AND p.id = $5)))) AS any_team
