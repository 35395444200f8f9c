-- name: IdempotencyKeyGet :one
-- To be called under CreditAccountLock, so that the second of two equal
-- requests, which waited for the lock, sees what became of the first.
SELECT * FROM idempotency_keys WHERE caller_id = @caller_id AND key = @key;

-- name: IdempotencyKeyInsert :exec
-- In the transaction that it speaks of. Two requests under one key that do not
-- meet at an account's lock meet here: the second waits for the first to
-- commit, fails on idempotency_keys_pkey, is rolled back with all it did, and
-- starts again, when it finds the key.
INSERT INTO idempotency_keys (caller_id, key, fingerprint, user_id, sequence, status, body, created_at)
VALUES (@caller_id, @key, @fingerprint, @user_id, @sequence, @status, @body, @now);

-- name: IdempotencyKeyDeleteRefusals :execrows
-- Refusals that were kept long enough. The keys of applied transactions stay.
-- Several replicas may do this at once: by ctid rows are deleted in the order
-- in which they lie, so that nobody waits for somebody who waits for them.
-- (SKIP LOCKED would need the right to change keys, which the service must not
-- have.) Rows of this table never move.
DELETE FROM idempotency_keys
WHERE ctid = ANY (ARRAY(
    SELECT k.ctid FROM idempotency_keys k
    WHERE k.sequence IS NULL AND k.created_at < @before
    LIMIT @page_size
));
