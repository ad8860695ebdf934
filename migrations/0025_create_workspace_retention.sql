-- For how many days each workspace keeps what is no longer current; no row: for ever.
CREATE VIEW workspace_retention AS
SELECT w.id AS workspace_id, p.delete_older_than_n_days AS days
  FROM workspaces w JOIN organization_retention_policies p ON p.organization_id = w.organization_id
 WHERE p.delete_older_than_n_days IS NOT NULL;
