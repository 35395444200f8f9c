-- name: RateLimitTake :many
-- GCRA (the generic cell rate algorithm) for several keys in one upsert. Each
-- has a span, in which all of its allowance comes back, and a cost, the part
-- of the span in which what one attempt uses does; both in microseconds. An
-- attempt is allowed if the allowance is not used up, and then uses its cost;
-- one that is not allowed changes nothing. The rows are locked in the order of
-- their keys, so that attempts which share some do not deadlock, and each sees
-- what the one before it used.
INSERT INTO rate_limits AS r (key, attempted_at, tat, span, allowed)
SELECT l.key, l.now, l.now + l.cost * interval '1 microsecond', l.span * interval '1 microsecond', true
FROM (
    SELECT unnest(@keys::bytea[]) AS key, unnest(@costs::bigint[]) AS cost, unnest(@spans::bigint[]) AS span, @now::timestamptz AS now
    ORDER BY 1
) l
ON CONFLICT (key) DO UPDATE
SET attempted_at = excluded.attempted_at,
    tat = CASE
        WHEN greatest(r.tat, excluded.attempted_at) + (excluded.tat - excluded.attempted_at) <= excluded.attempted_at + excluded.span
        THEN greatest(r.tat, excluded.attempted_at) + (excluded.tat - excluded.attempted_at)
        ELSE r.tat
    END,
    span = excluded.span,
    allowed = greatest(r.tat, excluded.attempted_at) + (excluded.tat - excluded.attempted_at) <= excluded.attempted_at + excluded.span
RETURNING key, tat, allowed;

-- name: RateLimitGiveBack :exec
-- For an attempt that turned out not to count. Locks in the order of RateLimitTake.
WITH locked AS (
    SELECT r.key FROM rate_limits r WHERE r.key = ANY(@keys::bytea[]) ORDER BY r.key FOR UPDATE
)
UPDATE rate_limits r
SET tat = r.tat - l.cost * '1 microsecond'::interval
FROM (SELECT unnest(@keys::bytea[]) AS key, unnest(@costs::bigint[]) AS cost) l, locked
WHERE r.key = l.key AND locked.key = l.key;

-- name: RateLimitDeleteFull :execrows
-- A row whose allowance is full again says nothing.
DELETE FROM rate_limits
WHERE key IN (SELECT r.key FROM rate_limits r WHERE r.tat < @now LIMIT @page_size FOR UPDATE SKIP LOCKED);
