-- name: terraform_version_find
SELECT t.id, t.version, t.url, t.sha, t.archs, t.official, t.enabled, t.beta, t.deprecated, t.deprecated_reason, t.engine,
       t.created_at, (SELECT count(*) FROM terrane.workspaces w WHERE w.terraform_version = t.version) AS usage
  FROM terrane.terraform_versions t WHERE t.id = $1

-- Ordered by the numbers: 1.10 comes before 1.9, and a release before its pre-releases.
-- name: terraform_version_list
SELECT t.id, t.version, t.url, t.sha, t.archs, t.official, t.enabled, t.beta, t.deprecated, t.deprecated_reason, t.engine,
       t.created_at, (SELECT count(*) FROM terrane.workspaces w WHERE w.terraform_version = t.version) AS usage
  FROM terrane.terraform_versions t
 WHERE ($1 = '' OR t.version = $1) AND position($2 IN t.version) > 0
 ORDER BY string_to_array(split_part(t.version, '-', 1), '.')::bigint[] DESC, position('-' IN t.version) > 0, t.version DESC
 LIMIT $3 OFFSET $4

-- name: terraform_version_count
SELECT count(*) AS total FROM terrane.terraform_versions t
 WHERE ($1 = '' OR t.version = $1) AND position($2 IN t.version) > 0

-- name: terraform_version_insert
INSERT INTO terrane.terraform_versions (id, version, url, sha, archs, official, enabled, beta, deprecated, deprecated_reason, engine)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: terraform_version_update
UPDATE terrane.terraform_versions
   SET version = $2, url = $3, sha = $4, archs = $5, official = $6, enabled = $7, beta = $8, deprecated = $9,
       deprecated_reason = $10, engine = $11
 WHERE id = $1

-- name: terraform_version_delete
DELETE FROM terrane.terraform_versions WHERE id = $1

-- An operator may have disabled the engine that came with Terrane: that stays.
-- name: terraform_version_register
INSERT INTO terrane.terraform_versions (id, version, sha, archs, official, engine) VALUES ($1, $2, $3, $4, true, $5)
ON CONFLICT (version) DO UPDATE SET url = NULL, sha = excluded.sha, archs = excluded.archs, official = true, engine = excluded.engine

-- name: terraform_version_candidates
SELECT version, enabled, beta FROM terrane.terraform_versions
