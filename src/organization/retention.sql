-- name: retention_find
SELECT id, delete_older_than_n_days FROM terrane.organization_retention_policies WHERE organization_id = $1

-- name: retention_set
INSERT INTO terrane.organization_retention_policies AS p (id, organization_id, delete_older_than_n_days) VALUES ($1, $2, $3)
ON CONFLICT (organization_id) DO UPDATE
   SET id = CASE WHEN (p.delete_older_than_n_days IS NULL) = (excluded.delete_older_than_n_days IS NULL) THEN p.id ELSE excluded.id END,
       delete_older_than_n_days = excluded.delete_older_than_n_days

-- name: retention_delete
DELETE FROM terrane.organization_retention_policies WHERE organization_id = $1
