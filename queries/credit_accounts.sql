-- name: CreditAccountInsert :exec
INSERT INTO credit_accounts (user_id, created_at, updated_at) VALUES (@user_id, @now, @now);

-- name: CreditAccountLock :one
-- Every posting begins here. The row lock puts all postings of one account in
-- a line: whoever holds it is the only one to read and change this account,
-- its grants and the end of its history, until commit or rollback.
--
-- It is a statement of its own, on purpose. Under READ COMMITTED each statement
-- sees what was committed before the statement began, and a waiter for this
-- lock is given the newest version of this row only. Whatever else is read in
-- the same statement (grants, keys) would be as old as the beginning of the
-- wait. So: lock first, then read and decide, with statements that begin later.
--
-- Postings that touch two accounts must lock them in the order of user_id.
SELECT * FROM credit_accounts WHERE user_id = @user_id FOR UPDATE;

-- name: CreditAccountUpdate :exec
-- To be called under CreditAccountLock.
UPDATE credit_accounts
SET balance = @balance, held = @held, sequence = @sequence, head_hash = @head_hash, updated_at = @updated_at
WHERE user_id = @user_id;

-- name: CreditBalanceGet :one
-- The account as it is now, beside what is due to expire but not yet taken out
-- by a posting, and what expires next.
SELECT a.*,
       coalesce((
           SELECT sum(g.remaining - g.held)
           FROM credit_grants g
           WHERE g.user_id = a.user_id AND g.open AND g.expires_at <= @now
       ), 0)::bigint AS due,
       n.expires_at AS next_expires_at,
       coalesce(n.amount, 0)::bigint AS next_expiry_amount
FROM credit_accounts a
LEFT JOIN LATERAL (
    SELECT g.expires_at, sum(g.remaining - g.held) AS amount
    FROM credit_grants g
    WHERE g.user_id = a.user_id AND g.open AND g.expires_at > @now
    GROUP BY g.expires_at
    ORDER BY g.expires_at
    LIMIT 1
) n ON true
WHERE a.user_id = @user_id;

-- name: CreditAccountExists :one
SELECT EXISTS (SELECT 1 FROM credit_accounts WHERE user_id = @user_id);

-- name: CreditAccountClose :exec
-- The user is deleted. It waits for a posting under way; later ones find the
-- account closed.
UPDATE credit_accounts SET closed_at = @now::timestamptz WHERE user_id = @user_id AND closed_at IS NULL;
