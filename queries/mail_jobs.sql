-- name: MailJobDeleteOfUser :exec
-- Mails to a person who is erased, sent or not. The jobs are River's; a worker
-- that is at one of them finds the user gone.
DELETE FROM river_job WHERE kind = @kind AND args ->> 'user_id' = @user_id::text;

-- name: MailJobListFailed :many
-- Those that are not tried any more, oldest first: the server refused them for
-- good, or did not take them for as long as they were tried.
SELECT
    j.id,
    (j.args ->> 'template')::text AS template,
    coalesce(nullif(j.args ->> 'to', ''), u.email, '')::text AS recipient,
    j.attempt::int AS tries,
    coalesce(j.errors[cardinality(j.errors)] ->> 'error', '')::text AS last_error,
    j.created_at,
    j.finalized_at
FROM river_job j
LEFT JOIN users u ON u.id = (j.args ->> 'user_id')::uuid
WHERE j.kind = @kind AND j.state IN ('cancelled', 'discarded') AND j.id > @after
ORDER BY j.id
LIMIT @page_size;

-- name: MailJobRetryFailed :many
-- Begins anew, with as many tries as the first time (River's own retry adds one)
-- and no wait before the next (it counts the errors for that). Of two who do so
-- at once one gets the job; the other finds that it has not failed.
UPDATE river_job
SET state = 'available', attempt = 0, errors = NULL, finalized_at = NULL, scheduled_at = now()
WHERE kind = @kind AND state IN ('cancelled', 'discarded') AND (id = ANY (@ids::bigint[]) OR @every::boolean)
RETURNING id;
