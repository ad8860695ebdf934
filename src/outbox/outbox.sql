-- name: outbox_insert
INSERT INTO terrane.outbox (queue, body) VALUES ($1, $2)

-- name: outbox_wake
SELECT pg_notify('terrane_outbox', '')

-- name: outbox_take
SELECT id, queue, body FROM terrane.outbox WHERE sent_at IS NULL ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED

-- name: outbox_mark_sent
UPDATE terrane.outbox SET sent_at = clock_timestamp() WHERE id = ANY ($1::bigint[])

-- name: outbox_sweep
DELETE FROM terrane.outbox WHERE sent_at < now() - interval '1 hour'
