-- name: IdempotencyKeyListNamed :many
-- To be called under CreditAccountLock, so that the second of two equal
-- requests, which waited for the lock, sees what became of the first.
SELECT k.*
FROM (SELECT unnest(@caller_ids::uuid[]) AS caller_id, unnest(@keys::text[]) AS key) n
JOIN idempotency_keys k ON k.caller_id = n.caller_id AND k.key = n.key;

-- name: IdempotencyKeyInsertMany :exec
-- In the transaction that they speak of. Two requests under one key that do not
-- meet at an account's lock meet here: the second waits for the first to
-- commit, fails on idempotency_keys_pkey, is rolled back with all it did, and
-- starts again, when it finds the key. They are inserted in the order of the
-- key, so that no two batches wait for each other.
INSERT INTO idempotency_keys (caller_id, key, fingerprint, user_id, sequence, hold_event, parts, status, body, created_at)
SELECT n.caller_id, n.key, n.fingerprint, nullif(n.user_id, '00000000-0000-0000-0000-000000000000'), nullif(n.sequence, 0),
       nullif(n.hold_event, 0), nullif(n.parts, '')::json, n.status, nullif(n.body, '\x'), @now
FROM (
    SELECT unnest(@caller_ids::uuid[]) AS caller_id, unnest(@keys::text[]) AS key, unnest(@fingerprints::bytea[]) AS fingerprint,
           unnest(@user_ids::uuid[]) AS user_id, unnest(@sequences::bigint[]) AS sequence, unnest(@hold_events::bigint[]) AS hold_event,
           unnest(@parts::text[]) AS parts, unnest(@statuses::smallint[]) AS status, unnest(@bodies::bytea[]) AS body
) n;

-- name: IdempotencyKeyDeleteRefusals :execrows
-- Refusals that were kept long enough. The keys of what was applied stay.
-- Several replicas may do this at once: by ctid rows are deleted in the order
-- in which they lie, so that nobody waits for somebody who waits for them.
-- (SKIP LOCKED would need the right to change keys, which the service must not
-- have.) Rows of this table never move.
DELETE FROM idempotency_keys
WHERE ctid = ANY (ARRAY(
    SELECT k.ctid FROM idempotency_keys k
    WHERE k.body IS NOT NULL AND k.created_at < @before
    LIMIT @page_size
));
