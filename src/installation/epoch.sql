-- name: epoch_position
SELECT (SELECT system_identifier FROM pg_control_system())::text AS system_identifier,
       ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint AS timeline,
       (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint AS wal,
       (SELECT epoch FROM terrane.installation) AS epoch,
       coalesce((SELECT pulse FROM terrane.installation), 0) AS pulse

-- name: epoch_advance
UPDATE terrane.installation SET pulse = pulse + 1

-- name: epoch_lock
SELECT epoch FROM terrane.installation FOR UPDATE

-- name: epoch_raise
UPDATE terrane.installation SET epoch = $1, system_identifier = $2, timeline = $3

-- name: epoch_insert
INSERT INTO terrane.epochs (number, reason, went_back_to) VALUES ($1, $2, (SELECT max(at) FROM terrane.run_trace))

-- name: epoch_newest
SELECT number, went_back_to FROM terrane.epochs ORDER BY number DESC LIMIT 1

-- name: epoch_open_state_search
SELECT number, states_after FROM terrane.epochs WHERE states_recovered_at IS NULL ORDER BY number DESC LIMIT 1

-- name: epoch_advance_state_search
UPDATE terrane.epochs SET states_after = $2 WHERE number = $1

-- name: epoch_end_state_search
UPDATE terrane.epochs SET states_recovered_at = now() WHERE number <= $1 AND states_recovered_at IS NULL
