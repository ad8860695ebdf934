-- The timeline of the next record: the one in the control file lags behind a promotion until the next checkpoint.
-- name: installation_cluster
SELECT (SELECT system_identifier FROM pg_control_system())::text AS system_identifier,
       ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint AS timeline

-- name: installation_insert
INSERT INTO terrane.installation (id, mode, hostname, system_identifier, timeline) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (only_row) DO NOTHING

-- name: installation_find
SELECT id, mode, hostname, epoch, system_identifier, timeline FROM terrane.installation FOR UPDATE

-- name: installation_set_hostname
UPDATE terrane.installation SET hostname = $1
