-- name: CreditAccountInsert :exec
INSERT INTO credit_accounts (user_id, created_at, updated_at) VALUES (@user_id, @now, @now);

-- name: CreditAccountLock :many
-- Every posting begins here. The row locks put all postings of an account in a
-- line: whoever holds one is the only one to read and change this account, its
-- grants, its holds and the end of its history, until commit or rollback.
--
-- It is a statement of its own, on purpose. Under READ COMMITTED each statement
-- sees what was committed before the statement began, and a waiter for this
-- lock is given the newest version of this row only. Whatever else is read in
-- the same statement (grants, keys) would be as old as the beginning of the
-- wait. So: lock first, then read and decide, with statements that begin later;
-- they may travel in the same round trip.
--
-- The locks are taken in the order of user_id, by everybody, so that no two
-- postings wait for each other.
SELECT * FROM credit_accounts WHERE user_id = ANY (@user_ids::uuid[]) ORDER BY user_id FOR UPDATE;

-- name: CreditAccountLockFree :many
-- The same, but for accounts that somebody else has locked, which are left out:
-- a batch of many accounts must not wait for one.
SELECT * FROM credit_accounts WHERE user_id = ANY (@user_ids::uuid[]) ORDER BY user_id FOR UPDATE SKIP LOCKED;

-- name: CreditAccountListExisting :many
-- Which of these accounts there are, locked or not.
SELECT user_id FROM credit_accounts WHERE user_id = ANY (@user_ids::uuid[]);

-- name: CreditAccountUpdateMany :exec
-- To be called under CreditAccountLock, with each account once.
UPDATE credit_accounts a
SET balance = n.balance, held = n.held, sequence = n.sequence, hold_events = n.hold_events,
    head_hash = n.head_hash, updated_at = n.updated_at
FROM (
    SELECT unnest(@user_ids::uuid[]) AS user_id, unnest(@balances::bigint[]) AS balance, unnest(@helds::bigint[]) AS held,
           unnest(@sequences::bigint[]) AS sequence, unnest(@hold_events::bigint[]) AS hold_events,
           unnest(@head_hashes::bytea[]) AS head_hash, unnest(@updated_ats::timestamptz[]) AS updated_at
) n
WHERE a.user_id = n.user_id;

-- name: CreditBalanceGet :one
-- The account as it is now, beside what is due but not yet taken out by a
-- posting: holds that are over, and credits of grants that are over, which such
-- a hold may pin; and what expires next.
WITH released AS (
    SELECT g.expires_at, g.expires_at <= @now OR g.revoked_at IS NOT NULL AS over, (p.value->>'amount')::bigint AS amount
    FROM credit_holds h
    CROSS JOIN jsonb_array_elements(h.pinned) AS p
    JOIN credit_grants g ON g.user_id = h.user_id AND g.id = (p.value->>'grant_id')::uuid
    WHERE h.user_id = @user_id AND h.status = 'active' AND h.expires_at <= @now
), next AS (
    SELECT least(
        (SELECT g.expires_at FROM credit_grants g
         WHERE g.user_id = @user_id AND g.open AND g.expires_at > @now
         ORDER BY g.expires_at LIMIT 1),
        (SELECT min(r.expires_at) FROM released r WHERE NOT r.over)
    )::timestamptz AS expires_at
)
SELECT a.*,
       (coalesce((SELECT sum(g.remaining - g.held) FROM credit_grants g
                  WHERE g.user_id = a.user_id AND g.open AND g.expires_at <= @now), 0)
        + coalesce((SELECT sum(r.amount) FROM released r WHERE r.over), 0))::bigint AS due,
       coalesce((SELECT sum(r.amount) FROM released r), 0)::bigint AS released,
       n.expires_at AS next_expires_at,
       (coalesce((SELECT sum(g.remaining - g.held) FROM credit_grants g
                  WHERE g.user_id = a.user_id AND g.open AND g.expires_at = n.expires_at), 0)
        + coalesce((SELECT sum(r.amount) FROM released r WHERE NOT r.over AND r.expires_at = n.expires_at), 0))::bigint AS next_expiry_amount
FROM credit_accounts a
LEFT JOIN next n ON n.expires_at IS NOT NULL
WHERE a.user_id = @user_id;

-- name: CreditAccountExists :one
SELECT EXISTS (SELECT 1 FROM credit_accounts WHERE user_id = @user_id);

-- name: CreditAccountClose :exec
-- The user is deleted. It waits for a posting under way; later ones find the
-- account closed.
UPDATE credit_accounts SET closed_at = @now::timestamptz WHERE user_id = @user_id AND closed_at IS NULL;

-- name: CreditAccountListDue :many
-- Whose grants or holds are over, though no posting has taken them out.
SELECT a.user_id
FROM credit_accounts a
WHERE a.closed_at IS NULL AND a.user_id > @after AND a.user_id IN (
    SELECT g.user_id FROM credit_grants g WHERE g.open AND g.expires_at <= @now
    UNION ALL
    SELECT h.user_id FROM credit_holds h WHERE h.status = 'active' AND h.expires_at <= @now
)
ORDER BY a.user_id
LIMIT @page_size;

-- name: CreditBalanceAt :one
-- The account at a past moment: its newest records by then, less what was due
-- then. The times of an account's records grow with their numbers, so that the
-- newest are found by halving along the primary keys, whatever the length of
-- the history. What was due then either still is, or was taken out before
-- anything else happened.
WITH RECURSIVE account AS (
    SELECT a.user_id, a.created_at, a.sequence, a.hold_events FROM credit_accounts a WHERE a.user_id = @user_id
), transactions AS (
    SELECT 0::bigint AS low, a.sequence AS high FROM account a
    UNION ALL
    SELECT CASE WHEN t.created_at <= @at THEN t.sequence ELSE s.low END,
           CASE WHEN t.created_at <= @at THEN s.high ELSE t.sequence - 1 END
    FROM transactions s
    JOIN credit_transactions t ON t.user_id = @user_id AND t.sequence = (s.low + s.high + 1) / 2
    WHERE s.low < s.high
), events AS (
    SELECT 0::bigint AS low, a.hold_events AS high FROM account a
    UNION ALL
    SELECT CASE WHEN e.created_at <= @at THEN e.number ELSE s.low END,
           CASE WHEN e.created_at <= @at THEN s.high ELSE e.number - 1 END
    FROM events s
    JOIN credit_hold_events e ON e.user_id = @user_id AND e.number = (s.low + s.high + 1) / 2
    WHERE s.low < s.high
), moment AS (
    SELECT a.created_at, s.low AS sequence, h.low AS number,
           -- When the first thing was done that time did not do by itself, and
           -- the numbers that lie before it: the history goes on behind them.
           least(t.created_at, e.created_at, 'infinity') AS until,
           coalesce(t.sequence, a.sequence + 1) AS until_sequence, coalesce(e.number, a.hold_events + 1) AS until_number
    FROM account a
    JOIN transactions s ON s.low = s.high
    JOIN events h ON h.low = h.high
    LEFT JOIN LATERAL (
        SELECT o.sequence, o.created_at FROM credit_transactions o
        WHERE o.user_id = @user_id AND o.sequence > s.low
          AND NOT (o.type = 'expiry' OR o.type = 'revocation' AND o.actor_type = 'system')
        ORDER BY o.sequence LIMIT 1
    ) t ON true
    LEFT JOIN LATERAL (
        SELECT o.number, o.created_at FROM credit_hold_events o
        WHERE o.user_id = @user_id AND o.number > h.low AND o.type <> 'expired'
        ORDER BY o.number LIMIT 1
    ) e ON true
), over AS (
    -- Holds that were over, and those that were not but have ended since.
    SELECT e.pinned, e.expires_at <= @at AS by_then, 1 AS sign
    FROM moment m
    JOIN credit_hold_events e ON e.user_id = @user_id AND e.number > m.number AND e.number < m.until_number AND e.created_at < m.until
    UNION ALL
    SELECT h.pinned, true, -1
    FROM credit_holds h
    WHERE h.user_id = @user_id AND h.status = 'active' AND h.expires_at <= @at
), let_go AS (
    SELECT (p.value->>'grant_id')::uuid AS grant_id, o.by_then, -o.sign * (p.value->>'amount')::bigint AS amount, o.sign < 0 AS pending
    FROM over o CROSS JOIN jsonb_array_elements(o.pinned) AS p
), closed AS (
    -- What was taken out since of grants that were over, but for what later holds let go of.
    SELECT -t.amount AS amount
    FROM moment m
    JOIN credit_transactions t ON t.user_id = @user_id AND t.sequence > m.sequence AND t.sequence < m.until_sequence AND t.created_at < m.until
    JOIN credit_grants g ON g.user_id = t.user_id AND g.id = t.grant_id AND (g.expires_at <= @at OR g.revoked_at <= @at)
    UNION ALL
    SELECT -l.amount
    FROM let_go l
    JOIN credit_grants g ON g.user_id = @user_id AND g.id = l.grant_id AND (g.expires_at <= @at OR g.revoked_at <= @at)
    WHERE NOT l.by_then
    UNION ALL
    -- What still is to be taken out.
    SELECT l.amount
    FROM let_go l
    JOIN credit_grants g ON g.user_id = @user_id AND g.id = l.grant_id AND (g.expires_at <= @at OR g.revoked_at <= @at)
    WHERE l.pending
    UNION ALL
    SELECT g.remaining - g.held
    FROM credit_grants g
    WHERE g.user_id = @user_id AND g.open AND g.expires_at <= @at
)
SELECT m.sequence, coalesce(t.balance_after, 0)::bigint AS balance, coalesce(e.held_after, 0)::bigint AS held,
       coalesce((SELECT sum(c.amount) FROM closed c), 0)::bigint AS due,
       coalesce((SELECT sum(l.amount) FROM let_go l WHERE l.by_then), 0)::bigint AS released,
       greatest(m.created_at, t.created_at, e.created_at)::timestamptz AS updated_at
FROM moment m
LEFT JOIN credit_transactions t ON t.user_id = @user_id AND t.sequence = m.sequence
LEFT JOIN credit_hold_events e ON e.user_id = @user_id AND e.number = m.number;
