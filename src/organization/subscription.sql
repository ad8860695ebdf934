-- name: feature_set_list
SELECT id, identifier, name, description, is_free_tier, entitlements, default_runs_ceiling
  FROM terrane.feature_sets
 WHERE (is_public OR $1) AND position(lower($2) IN lower(name)) > 0
 ORDER BY position LIMIT $3 OFFSET $4

-- name: feature_set_count
SELECT count(*) AS total FROM terrane.feature_sets WHERE (is_public OR $1) AND position(lower($2) IN lower(name)) > 0

-- name: feature_set_find
SELECT id, identifier, name, description, is_free_tier, entitlements, default_runs_ceiling
  FROM terrane.feature_sets WHERE id = ANY ($1::text[]) ORDER BY position

-- name: subscription_find
SELECT s.*, o.name AS organization, (s.end_at IS NULL OR s.end_at > now()) AS is_active
  FROM terrane.subscriptions s JOIN terrane.organizations o ON o.id = s.organization_id WHERE s.id = $1

-- name: subscription_of
SELECT s.*, o.name AS organization, (s.end_at IS NULL OR s.end_at > now()) AS is_active
  FROM terrane.subscriptions s JOIN terrane.organizations o ON o.id = s.organization_id WHERE s.organization_id = $1

-- name: subscription_replace
INSERT INTO terrane.subscriptions (id, organization_id, feature_set_id, runs_ceiling, agents_ceiling, contract_start_at,
  contract_user_limit, contract_apply_limit, contract_managed_resources_limit, end_at)
SELECT $1, $2, f.id, coalesce($4, f.default_runs_ceiling), $5, $6, $7, $8, $9, $10 FROM terrane.feature_sets f WHERE f.id = $3
ON CONFLICT (organization_id) DO UPDATE
   SET id = excluded.id, feature_set_id = excluded.feature_set_id, runs_ceiling = excluded.runs_ceiling,
       agents_ceiling = excluded.agents_ceiling, contract_start_at = excluded.contract_start_at,
       contract_user_limit = excluded.contract_user_limit, contract_apply_limit = excluded.contract_apply_limit,
       contract_managed_resources_limit = excluded.contract_managed_resources_limit, start_at = now(), end_at = excluded.end_at

-- name: subscription_entitlements
SELECT entitlements, contract_user_limit FROM terrane.organization_plans WHERE organization_id = $1

-- name: subscription_has_entitlement
SELECT 1 AS found FROM terrane.organization_plans WHERE organization_id = $1 AND $2 = ANY (entitlements)
