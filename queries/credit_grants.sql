-- name: CreditGrantInsertMany :exec
-- Grants as they are after the batch that made them, which may have spent some already.
INSERT INTO credit_grants (user_id, id, sequence, part, amount, remaining, held, expired, priority, expires_at, revoked_at, created_at)
SELECT n.user_id, n.id, n.sequence, n.part, n.amount, n.remaining, n.held, n.expired, n.priority,
       nullif(n.expires_at, '0001-01-01 00:00:00+00'), nullif(n.revoked_at, '0001-01-01 00:00:00+00'), n.created_at
FROM (
    SELECT unnest(@user_ids::uuid[]) AS user_id, unnest(@ids::uuid[]) AS id, unnest(@sequences::bigint[]) AS sequence,
           unnest(@parts::smallint[]) AS part, unnest(@amounts::bigint[]) AS amount, unnest(@remainings::bigint[]) AS remaining,
           unnest(@helds::bigint[]) AS held, unnest(@expired_amounts::bigint[]) AS expired, unnest(@priorities::smallint[]) AS priority,
           unnest(@expires_ats::timestamptz[]) AS expires_at, unnest(@revoked_ats::timestamptz[]) AS revoked_at,
           unnest(@created_ats::timestamptz[]) AS created_at
) n;

-- name: CreditGrantUpdateMany :exec
-- To be called under CreditAccountLock, with each grant once.
UPDATE credit_grants g
SET remaining = n.remaining, held = n.held, expired = n.expired, revoked_at = nullif(n.revoked_at, '0001-01-01 00:00:00+00')
FROM (
    SELECT unnest(@user_ids::uuid[]) AS user_id, unnest(@ids::uuid[]) AS id, unnest(@remainings::bigint[]) AS remaining,
           unnest(@helds::bigint[]) AS held, unnest(@expired_amounts::bigint[]) AS expired, unnest(@revoked_ats::timestamptz[]) AS revoked_at
) n
WHERE g.user_id = n.user_id AND g.id = n.id;

-- name: CreditGrantListFirst :many
-- The first grants of each account in the order in which they burn: by priority,
-- then what expires soonest, then the oldest, which its sequence tells: ids come
-- from the clocks of several replicas. It steps along credit_grants_burn_idx.
-- To be called under CreditAccountLock.
SELECT g.*
FROM (SELECT unnest(@user_ids::uuid[]) AS user_id) a
CROSS JOIN LATERAL (
    SELECT * FROM credit_grants o
    WHERE o.open_user_id = a.user_id
    ORDER BY o.priority, o.expires_at, o.sequence, o.part
    LIMIT @page_size
) g;

-- name: CreditGrantListOpen :many
-- The next ones of one account. To be called under CreditAccountLock.
SELECT * FROM credit_grants
WHERE open_user_id = @user_id::uuid
ORDER BY priority, expires_at, sequence, part
OFFSET @skip::int LIMIT @page_size;

-- name: CreditGrantListDue :many
-- What expires until a moment. To be called under CreditAccountLock.
SELECT * FROM credit_grants WHERE user_id = ANY (@user_ids::uuid[]) AND open AND expires_at <= @until;

-- name: CreditGrantListNamed :many
-- To be called under CreditAccountLock.
SELECT g.*
FROM (SELECT unnest(@user_ids::uuid[]) AS user_id, unnest(@ids::uuid[]) AS id) n
JOIN credit_grants g ON g.user_id = n.user_id AND g.id = n.id;

-- name: CreditGrantOwner :one
SELECT user_id FROM credit_grants WHERE id = @id;

-- name: CreditGrantList :many
-- Newest first, by the numbers of the transactions that made them. What is held
-- leaves out holds that are over.
SELECT sqlc.embed(g), t.id AS transaction_id, t.reference,
       coalesce((
           SELECT sum((p.value->>'amount')::bigint)
           FROM credit_holds h CROSS JOIN jsonb_array_elements(h.pinned) AS p
           WHERE h.user_id = g.user_id AND h.status = 'active' AND h.expires_at <= @now
             AND (p.value->>'grant_id')::uuid = g.id
       ), 0)::bigint AS released
FROM credit_grants g
JOIN credit_transactions t ON t.user_id = g.user_id AND t.sequence = g.sequence
WHERE g.user_id = @user_id AND (g.sequence, g.part) < (@before::bigint, @before_part::smallint)
ORDER BY g.sequence DESC, g.part DESC
LIMIT @page_size;
