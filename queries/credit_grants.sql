-- name: CreditGrantInsert :exec
INSERT INTO credit_grants (user_id, id, sequence, amount, remaining, priority, expires_at, created_at)
VALUES (@user_id, @id, @sequence, @amount, @amount, @priority, @expires_at, @created_at);

-- name: CreditGrantUpdate :exec
-- To be called under CreditAccountLock.
UPDATE credit_grants SET remaining = @remaining, expired = @expired WHERE user_id = @user_id AND id = @id;

-- name: CreditGrantListDue :many
-- What has expired and is not yet taken out, in the order in which it expired.
-- To be called under CreditAccountLock.
SELECT * FROM credit_grants
WHERE user_id = @user_id AND open AND expires_at <= @now
ORDER BY expires_at, sequence;

-- name: CreditGrantListOpen :many
-- What can be burned, in the order in which it burns: by priority, then what
-- expires soonest, then the oldest, which its sequence tells: ids come from the
-- clocks of several replicas. It steps along credit_grants_burn_idx.
-- To be called under CreditAccountLock, after what is due was taken out.
SELECT * FROM credit_grants
WHERE user_id = @user_id AND open
ORDER BY priority, expires_at, sequence
OFFSET @skip::int LIMIT @page_size;

-- name: CreditGrantList :many
-- Newest first, by the numbers of the transactions that made them.
SELECT sqlc.embed(g), t.id AS transaction_id, t.reference
FROM credit_grants g
JOIN credit_transactions t ON t.user_id = g.user_id AND t.sequence = g.sequence
WHERE g.user_id = @user_id AND g.sequence < @before
ORDER BY g.sequence DESC
LIMIT @page_size;
