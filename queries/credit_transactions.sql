-- name: CreditTransactionInsertMany :exec
-- To be called under CreditAccountLock. Rows are never changed afterwards; a
-- trigger and the run-time role's missing rights see to that.
--
-- Arrays cannot carry NULL from Go here: an empty text, an empty hash and the
-- nil UUID, none of which is ever a value, stand for it.
INSERT INTO credit_transactions (
    user_id, sequence, id, type, amount, balance_after, reference, note_digest, hold_id, reverses_id, grant_id, transfer_id,
    burned, actor_type, actor_id, idempotency_key, hash, created_at
)
SELECT n.user_id, n.sequence, n.id, n.type, n.amount, n.balance_after, nullif(n.reference, ''), nullif(n.note_digest, '\x'),
       nullif(n.hold_id, '00000000-0000-0000-0000-000000000000'), nullif(n.reverses_id, '00000000-0000-0000-0000-000000000000'),
       nullif(n.grant_id, '00000000-0000-0000-0000-000000000000'), nullif(n.transfer_id, '00000000-0000-0000-0000-000000000000'),
       n.burned, n.actor_type, nullif(n.actor_id, '00000000-0000-0000-0000-000000000000'), nullif(n.idempotency_key, ''),
       n.hash, n.created_at
FROM (
    SELECT unnest(@user_ids::uuid[]) AS user_id, unnest(@sequences::bigint[]) AS sequence, unnest(@ids::uuid[]) AS id,
           unnest(@types::text[]) AS type, unnest(@amounts::bigint[]) AS amount, unnest(@balance_afters::bigint[]) AS balance_after,
           unnest(@refs::text[]) AS reference, unnest(@note_digests::bytea[]) AS note_digest,
           unnest(@hold_ids::uuid[]) AS hold_id, unnest(@reverses_ids::uuid[]) AS reverses_id, unnest(@grant_ids::uuid[]) AS grant_id,
           unnest(@transfer_ids::uuid[]) AS transfer_id, unnest(@burneds::jsonb[]) AS burned,
           unnest(@actor_types::text[]) AS actor_type, unnest(@actor_ids::uuid[]) AS actor_id,
           unnest(@idempotency_keys::text[]) AS idempotency_key, unnest(@hashes::bytea[]) AS hash,
           unnest(@created_ats::timestamptz[]) AS created_at
) n;

-- name: CreditTransactionNoteInsertMany :exec
INSERT INTO credit_transaction_notes (user_id, sequence, salt, description, metadata)
SELECT n.user_id, n.sequence, n.salt, nullif(n.description, ''), nullif(n.metadata, 'null')::json
FROM (
    SELECT unnest(@user_ids::uuid[]) AS user_id, unnest(@sequences::bigint[]) AS sequence, unnest(@salts::bytea[]) AS salt,
           unnest(@descriptions::text[]) AS description, unnest(@metadatas::text[]) AS metadata
) n;

-- name: CreditTransactionListNamed :many
-- Transactions by their numbers.
SELECT sqlc.embed(t), n.description, n.metadata
FROM (SELECT unnest(@user_ids::uuid[]) AS user_id, unnest(@sequences::bigint[]) AS sequence) w
JOIN credit_transactions t ON t.user_id = w.user_id AND t.sequence = w.sequence
LEFT JOIN credit_transaction_notes n ON n.user_id = t.user_id AND n.sequence = t.sequence;

-- name: CreditTransactionListOriginals :many
-- Transactions by their ids, beside what was given back of each already.
-- To be called under CreditAccountLock.
SELECT t.user_id, t.id, t.type, t.amount, t.burned, t.grant_id, r.burned AS returned
FROM (SELECT unnest(@user_ids::uuid[]) AS user_id, unnest(@ids::uuid[]) AS id) w
JOIN credit_transactions t ON t.id = w.id AND t.user_id = w.user_id
LEFT JOIN credit_transactions r ON r.user_id = t.user_id AND r.reverses_id = t.id;

-- name: CreditTransactionOwner :one
SELECT user_id FROM credit_transactions WHERE id = @id;

-- name: CreditTransactionList :many
-- Newest first, by the primary key. The sequence has no gaps and only grows, so
-- that a page is the same page whatever is inserted meanwhile. Times grow with
-- it: bounds of time are turned into numbers by CreditTransactionSequenceAt.
SELECT sqlc.embed(t), n.description, n.metadata
FROM credit_transactions t
LEFT JOIN credit_transaction_notes n ON n.user_id = t.user_id AND n.sequence = t.sequence
WHERE t.user_id = @user_id
  AND t.sequence < @before
  AND t.sequence > @after
  AND (sqlc.narg(type)::text IS NULL OR t.type = sqlc.narg(type))
  AND (sqlc.narg(reference)::text IS NULL OR t.reference = sqlc.narg(reference))
ORDER BY t.sequence DESC
LIMIT @page_size;

-- name: CreditTransactionListAll :many
-- Of all accounts, newest first. Ids are made of the times of transactions, so
-- that bounds of time are bounds of ids.
SELECT sqlc.embed(t), n.description, n.metadata
FROM credit_transactions t
LEFT JOIN credit_transaction_notes n ON n.user_id = t.user_id AND n.sequence = t.sequence
WHERE t.id < @before
  AND t.id >= @not_before
  AND (sqlc.narg(type)::text IS NULL OR t.type = sqlc.narg(type))
  AND (sqlc.narg(reference)::text IS NULL OR t.reference = sqlc.narg(reference))
ORDER BY t.id DESC
LIMIT @page_size;

-- name: CreditTransactionListForward :many
-- Oldest first, for a statement.
SELECT sqlc.embed(t), n.description, n.metadata
FROM credit_transactions t
LEFT JOIN credit_transaction_notes n ON n.user_id = t.user_id AND n.sequence = t.sequence
WHERE t.user_id = @user_id AND t.sequence > @after AND t.sequence <= @last
ORDER BY t.sequence
LIMIT @page_size;

-- name: CreditTransactionSequenceAt :one
-- The number of the newest transaction at a moment, 0 before the first. The
-- times of an account's transactions grow with their numbers, so that it is
-- found by halving along the primary key, whatever the length of the history.
WITH RECURSIVE search AS (
    SELECT 0::bigint AS low, (SELECT coalesce(max(m.sequence), 0) FROM credit_transactions m WHERE m.user_id = @user_id) AS high
    UNION ALL
    SELECT CASE WHEN t.created_at <= @at THEN t.sequence ELSE s.low END,
           CASE WHEN t.created_at <= @at THEN s.high ELSE t.sequence - 1 END
    FROM search s
    JOIN credit_transactions t ON t.user_id = @user_id AND t.sequence = (s.low + s.high + 1) / 2
    WHERE s.low < s.high
)
SELECT low FROM search WHERE low = high;

-- name: CreditTransactionNoteDeleteOfUser :exec
-- A person's text; the chain holds its digest only.
DELETE FROM credit_transaction_notes WHERE user_id = @user_id;
