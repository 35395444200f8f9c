-- name: CreditTransactionInsert :exec
-- To be called under CreditAccountLock. Rows are never changed afterwards; a
-- trigger and the run-time role's missing rights see to that.
INSERT INTO credit_transactions (
    user_id, sequence, id, type, amount, balance_after, reference, note_digest, hold_id, reverses_id, grant_id,
    burned, actor_type, actor_id, idempotency_key, hash, created_at
) VALUES (
    @user_id, @sequence, @id, @type, @amount, @balance_after, @reference, @note_digest, @hold_id, @reverses_id, @grant_id,
    @burned, @actor_type, @actor_id, @idempotency_key, @hash, @created_at
);

-- name: CreditTransactionNoteInsert :exec
INSERT INTO credit_transaction_notes (user_id, sequence, salt, description, metadata)
VALUES (@user_id, @sequence, @salt, @description, @metadata);

-- name: CreditTransactionGet :one
SELECT sqlc.embed(t), n.description, n.metadata
FROM credit_transactions t
LEFT JOIN credit_transaction_notes n ON n.user_id = t.user_id AND n.sequence = t.sequence
WHERE t.user_id = @user_id AND t.sequence = @sequence;

-- name: CreditTransactionList :many
-- Newest first, by the primary key. The sequence has no gaps and only grows, so
-- that a page is the same page whatever is inserted meanwhile.
SELECT sqlc.embed(t), n.description, n.metadata
FROM credit_transactions t
LEFT JOIN credit_transaction_notes n ON n.user_id = t.user_id AND n.sequence = t.sequence
WHERE t.user_id = @user_id
  AND t.sequence < @before
  AND (sqlc.narg(type)::text IS NULL OR t.type = sqlc.narg(type))
  AND (sqlc.narg(reference)::text IS NULL OR t.reference = sqlc.narg(reference))
  AND (sqlc.narg(since)::timestamptz IS NULL OR t.created_at >= sqlc.narg(since))
  AND (sqlc.narg(until)::timestamptz IS NULL OR t.created_at < sqlc.narg(until))
ORDER BY t.sequence DESC
LIMIT @page_size;

-- name: CreditTransactionNoteDeleteOfUser :exec
-- A person's text; the chain holds its digest only.
DELETE FROM credit_transaction_notes WHERE user_id = @user_id;
