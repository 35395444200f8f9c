-- name: CreditHoldEventInsertMany :exec
-- To be called under CreditAccountLock. Rows are never changed afterwards.
INSERT INTO credit_hold_events (
    user_id, number, hold_id, type, amount, captured, status, expires_at, reference, note_digest, transaction_id, pinned,
    held_after, actor_type, actor_id, idempotency_key, hash, created_at
)
SELECT n.user_id, n.number, n.hold_id, n.type, n.amount, n.captured, n.status, n.expires_at, nullif(n.reference, ''),
       nullif(n.note_digest, '\x'), nullif(n.transaction_id, '00000000-0000-0000-0000-000000000000'), n.pinned, n.held_after,
       n.actor_type, nullif(n.actor_id, '00000000-0000-0000-0000-000000000000'), nullif(n.idempotency_key, ''), n.hash, n.created_at
FROM (
    SELECT unnest(@user_ids::uuid[]) AS user_id, unnest(@numbers::bigint[]) AS number, unnest(@hold_ids::uuid[]) AS hold_id,
           unnest(@types::text[]) AS type, unnest(@amounts::bigint[]) AS amount, unnest(@captureds::bigint[]) AS captured,
           unnest(@statuses::text[]) AS status, unnest(@expires_ats::timestamptz[]) AS expires_at, unnest(@refs::text[]) AS reference,
           unnest(@note_digests::bytea[]) AS note_digest, unnest(@transaction_ids::uuid[]) AS transaction_id,
           unnest(@pinneds::jsonb[]) AS pinned, unnest(@held_afters::bigint[]) AS held_after,
           unnest(@actor_types::text[]) AS actor_type, unnest(@actor_ids::uuid[]) AS actor_id,
           unnest(@idempotency_keys::text[]) AS idempotency_key, unnest(@hashes::bytea[]) AS hash,
           unnest(@created_ats::timestamptz[]) AS created_at
) n;

-- name: CreditHoldEventGet :one
-- What the hold was after an event.
SELECT sqlc.embed(e), h.created_at AS hold_created_at, h.reference AS hold_reference, n.description, n.metadata
FROM credit_hold_events e
JOIN credit_holds h ON h.user_id = e.user_id AND h.id = e.hold_id
LEFT JOIN credit_hold_notes n ON n.user_id = e.user_id AND n.hold_id = e.hold_id
WHERE e.user_id = @user_id AND e.number = @number;
