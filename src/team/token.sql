-- The tokens of the teams that a principal may manage tokens of: all but the owners' with $2, the owners' too with $3, those of
-- its own teams that let their members.
-- name: team_token_list
SELECT k.*, o.name AS created_by_name
  FROM terrane.tokens k JOIN terrane.teams t ON t.id = k.owner_id LEFT JOIN terrane.organizations o ON o.id = k.created_by
 WHERE k.kind = 'team' AND t.organization_id = $1
   AND (($2::boolean AND t.name <> 'owners' AND ($4::boolean OR t.visibility = 'organization')) OR $3::boolean
        OR (t.allow_member_token_management AND EXISTS (
              SELECT FROM terrane.principal_teams p WHERE p.team_id = t.id AND p.kind = $5 AND p.id = $6)))
   AND position(lower($7) IN lower(t.name)) > 0
   AND (cardinality($8::text[]) = 0
        OR ('no_expiration' = ANY ($8) AND k.expired_at IS NULL)
        OR ('active' = ANY ($8) AND (k.expired_at IS NULL OR k.expired_at > now()))
        OR ('expired' = ANY ($8) AND k.expired_at <= now())
        OR ('expiring_in_7_days' = ANY ($8) AND k.expired_at > now() AND k.expired_at <= now() + interval '7 days')
        OR ('expiring_in_30_days' = ANY ($8) AND k.expired_at > now() AND k.expired_at <= now() + interval '30 days'))
 ORDER BY CASE WHEN $9 = 'team-name' THEN lower(t.name) WHEN $9 = 'created-by' THEN k.created_by END,
          CASE WHEN $9 = '-team-name' THEN lower(t.name) WHEN $9 = '-created-by' THEN k.created_by END DESC,
          CASE WHEN $9 = 'expired-at' THEN k.expired_at WHEN $9 = 'last-used-at' THEN k.last_used_at END,
          CASE WHEN $9 = '-expired-at' THEN k.expired_at WHEN $9 = '-last-used-at' THEN k.last_used_at END DESC NULLS LAST,
          lower(t.name), k.created_at, k.id
 LIMIT $10 OFFSET $11

-- name: team_token_count
SELECT count(*) AS total
  FROM terrane.tokens k JOIN terrane.teams t ON t.id = k.owner_id
 WHERE k.kind = 'team' AND t.organization_id = $1
   AND (($2::boolean AND t.name <> 'owners' AND ($4::boolean OR t.visibility = 'organization')) OR $3::boolean
        OR (t.allow_member_token_management AND EXISTS (
              SELECT FROM terrane.principal_teams p WHERE p.team_id = t.id AND p.kind = $5 AND p.id = $6)))
   AND position(lower($7) IN lower(t.name)) > 0
   AND (cardinality($8::text[]) = 0
        OR ('no_expiration' = ANY ($8) AND k.expired_at IS NULL)
        OR ('active' = ANY ($8) AND (k.expired_at IS NULL OR k.expired_at > now()))
        OR ('expired' = ANY ($8) AND k.expired_at <= now())
        OR ('expiring_in_7_days' = ANY ($8) AND k.expired_at > now() AND k.expired_at <= now() + interval '7 days')
        OR ('expiring_in_30_days' = ANY ($8) AND k.expired_at > now() AND k.expired_at <= now() + interval '30 days'))

-- name: team_token_legacy
SELECT k.*, o.name AS created_by_name
  FROM terrane.tokens k LEFT JOIN terrane.organizations o ON o.id = k.created_by
 WHERE k.kind = 'team' AND k.owner_id = $1 AND k.description IS NULL ORDER BY k.created_at DESC LIMIT 1

-- name: team_token_revoke_legacy
WITH gone AS (DELETE FROM terrane.tokens WHERE kind = 'team' AND owner_id = $1 AND description IS NULL RETURNING id)
SELECT id, pg_notify('terrane_tokens', id) IS NULL AS notified FROM gone

-- Two who make the legacy token at once come one after the other.
-- name: team_token_lock_team
SELECT id FROM terrane.teams WHERE id = $1 FOR UPDATE
