-- name: LedgerCheckpointLast :one
SELECT * FROM ledger_checkpoints ORDER BY number DESC LIMIT 1;

-- name: LedgerCheckpointList :many
SELECT * FROM ledger_checkpoints ORDER BY number;

-- name: LedgerCheckpointInsert :exec
-- Of two that are made at once, on whichever replicas, the second waits here for
-- the first to commit, fails on ledger_checkpoints_pkey, and is made anew.
INSERT INTO ledger_checkpoints (number, created_at, accounts, transactions, hold_events, root, previous, public_key, signature)
VALUES (@number, @created_at, @accounts, @transactions, @hold_events, @root, @previous, @public_key, @signature);

-- name: LedgerCheckpointHeadInsertChanged :exec
-- The heads that no checkpoint has yet. To be called in the snapshot that the
-- root was made of.
INSERT INTO ledger_checkpoint_heads (user_id, checkpoint, sequence, hold_events, head_hash)
SELECT a.user_id, @checkpoint, a.sequence, a.hold_events, a.head_hash
FROM credit_accounts a
LEFT JOIN LATERAL (
    SELECT l.head_hash FROM ledger_checkpoint_heads l WHERE l.user_id = a.user_id ORDER BY l.checkpoint DESC LIMIT 1
) h ON true
WHERE h.head_hash IS DISTINCT FROM a.head_hash;

-- name: LedgerCheckpointHeadList :many
-- In the order of accounts, and of checkpoints in each.
SELECT * FROM ledger_checkpoint_heads
WHERE (user_id, checkpoint) > (@user_id::uuid, @checkpoint::bigint)
ORDER BY user_id, checkpoint
LIMIT @page_size;

-- name: LedgerHeadList :many
-- The heads of all accounts as they are, in the order of the tree.
SELECT user_id, sequence, hold_events, head_hash FROM credit_accounts
WHERE user_id > @user_id
ORDER BY user_id
LIMIT @page_size;
