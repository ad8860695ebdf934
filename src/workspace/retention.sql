-- name: workspace_retention_find
SELECT id, delete_older_than_n_days FROM terrane.workspace_retention_policies WHERE workspace_id = $1

-- name: workspace_retention_set
INSERT INTO terrane.workspace_retention_policies AS p (id, workspace_id, delete_older_than_n_days) VALUES ($1, $2, $3)
ON CONFLICT (workspace_id) DO UPDATE
   SET id = CASE WHEN (p.delete_older_than_n_days IS NULL) = (excluded.delete_older_than_n_days IS NULL) THEN p.id ELSE excluded.id END,
       delete_older_than_n_days = excluded.delete_older_than_n_days

-- name: workspace_retention_delete
DELETE FROM terrane.workspace_retention_policies WHERE workspace_id = $1
