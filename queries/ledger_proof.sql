-- What a verifier reads, all in one snapshot. It goes through each table once,
-- in the order of accounts, page by page along the primary keys; where tables
-- meet, it joins them itself.

-- name: LedgerProofSize :one
-- How much there is to do.
SELECT count(*) AS accounts, coalesce(sum(sequence), 0)::bigint AS transactions FROM credit_accounts;

-- name: LedgerProofAccountList :many
-- Each beside its user, of whom no more is asked than that there is one.
SELECT sqlc.embed(a), (u.id IS NOT NULL)::boolean AS has_user, (u.deleted_at IS NOT NULL)::boolean AS user_deleted
FROM credit_accounts a
LEFT JOIN users u ON u.id = a.user_id
WHERE a.user_id > @user_id
ORDER BY a.user_id
LIMIT @page_size;

-- name: LedgerProofTransactionList :many
SELECT user_id, sequence, id, type, amount, balance_after, reference, note_digest, hold_id, reverses_id, grant_id, transfer_id,
       burned::text AS burned, actor_type, actor_id, idempotency_key, hash, created_at
FROM credit_transactions
WHERE (user_id, sequence) > (@user_id::uuid, @sequence::bigint)
ORDER BY user_id, sequence
LIMIT @page_size;

-- name: LedgerProofNoteList :many
SELECT * FROM credit_transaction_notes
WHERE (user_id, sequence) > (@user_id::uuid, @sequence::bigint)
ORDER BY user_id, sequence
LIMIT @page_size;

-- name: LedgerProofHoldEventList :many
SELECT user_id, number, hold_id, type, amount, captured, status, expires_at, reference, note_digest, transaction_id,
       pinned::text AS pinned, held_after, actor_type, actor_id, idempotency_key, hash, created_at
FROM credit_hold_events
WHERE (user_id, number) > (@user_id::uuid, @number::bigint)
ORDER BY user_id, number
LIMIT @page_size;

-- name: LedgerProofGrantList :many
SELECT * FROM credit_grants
WHERE (user_id, sequence, part) > (@user_id::uuid, @sequence::bigint, @part::smallint)
ORDER BY user_id, sequence, part
LIMIT @page_size;

-- name: LedgerProofGrantListNamed :many
SELECT g.*
FROM (SELECT unnest(@user_ids::uuid[]) AS user_id, unnest(@ids::uuid[]) AS id) n
JOIN credit_grants g ON g.user_id = n.user_id AND g.id = n.id;

-- name: LedgerProofHoldListNamed :many
SELECT h.user_id, h.id, h.amount, h.captured, h.status, h.expires_at, h.reference, h.pinned::text AS pinned, h.transaction_id,
       h.created_at, h.updated_at, n.salt, n.description, n.metadata
FROM (SELECT unnest(@user_ids::uuid[]) AS user_id, unnest(@ids::uuid[]) AS id) w
JOIN credit_holds h ON h.user_id = w.user_id AND h.id = w.id
LEFT JOIN credit_hold_notes n ON n.user_id = h.user_id AND n.hold_id = h.id;

-- name: LedgerProofTransactionListNamed :many
-- What reversals undo.
SELECT user_id, sequence, id, type, amount, grant_id, burned::text AS burned FROM credit_transactions
WHERE id = ANY (@ids::uuid[]);

-- name: LedgerProofReversalList :many
-- All reversals of these, each once.
SELECT r.user_id, r.sequence, r.reverses_id, r.burned::text AS burned
FROM (SELECT DISTINCT unnest(@user_ids::uuid[]) AS user_id, unnest(@ids::uuid[]) AS id) n
JOIN credit_transactions r ON r.user_id = n.user_id AND r.reverses_id = n.id
ORDER BY r.user_id, r.sequence;

-- name: LedgerProofTransferList :many
-- All halves of these.
SELECT user_id, sequence, transfer_id, type, amount, reference, (note_digest IS NOT NULL)::boolean AS noted, burned::text AS burned,
       actor_type, actor_id, idempotency_key
FROM credit_transactions
WHERE transfer_id = ANY (@ids::uuid[]);

-- name: LedgerProofCount :one
-- What events must have placed.
SELECT (SELECT count(*) FROM credit_holds) AS holds, (SELECT count(*) FROM credit_hold_notes) AS hold_notes;

-- name: LedgerProofHoldWithoutEvent :many
-- This and the next find out where a count that is wrong comes from.
SELECT h.user_id, h.id FROM credit_holds h
WHERE NOT EXISTS (
    SELECT 1 FROM credit_hold_events e WHERE e.user_id = h.user_id AND e.hold_id = h.id AND e.type = 'placed'
)
ORDER BY h.user_id, h.id LIMIT 1;

-- name: LedgerProofHoldNoteWithoutHold :many
SELECT n.user_id, n.hold_id FROM credit_hold_notes n
WHERE NOT EXISTS (SELECT 1 FROM credit_holds h WHERE h.user_id = n.user_id AND h.id = n.hold_id)
ORDER BY n.user_id, n.hold_id LIMIT 1;
