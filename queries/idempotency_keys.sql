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
-- The service's role may not lock these rows, and need not: they never change.
DELETE FROM idempotency_keys
WHERE (caller_id, key) IN (
    SELECT k.caller_id, k.key FROM idempotency_keys k
    WHERE k.sequence IS NULL AND k.created_at < @before
    LIMIT @page_size
);
