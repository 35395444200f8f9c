-- name: CreditHoldInsertMany :exec
-- Holds as they are after the batch that placed them.
INSERT INTO credit_holds (user_id, id, amount, captured, status, expires_at, reference, pinned, transaction_id, created_at, updated_at)
SELECT n.user_id, n.id, n.amount, n.captured, n.status, n.expires_at, nullif(n.reference, ''), n.pinned,
       nullif(n.transaction_id, '00000000-0000-0000-0000-000000000000'), n.created_at, n.updated_at
FROM (
    SELECT unnest(@user_ids::uuid[]) AS user_id, unnest(@ids::uuid[]) AS id, unnest(@amounts::bigint[]) AS amount,
           unnest(@captureds::bigint[]) AS captured, unnest(@statuses::text[]) AS status, unnest(@expires_ats::timestamptz[]) AS expires_at,
           unnest(@refs::text[]) AS reference, unnest(@pinneds::jsonb[]) AS pinned,
           unnest(@transaction_ids::uuid[]) AS transaction_id,
           unnest(@created_ats::timestamptz[]) AS created_at, unnest(@updated_ats::timestamptz[]) AS updated_at
) n;

-- name: CreditHoldUpdateMany :exec
-- To be called under CreditAccountLock, with each hold once.
UPDATE credit_holds h
SET amount = n.amount, captured = n.captured, status = n.status, pinned = n.pinned,
    transaction_id = nullif(n.transaction_id, '00000000-0000-0000-0000-000000000000'), updated_at = n.updated_at
FROM (
    SELECT unnest(@user_ids::uuid[]) AS user_id, unnest(@ids::uuid[]) AS id, unnest(@amounts::bigint[]) AS amount,
           unnest(@captureds::bigint[]) AS captured, unnest(@statuses::text[]) AS status, unnest(@pinneds::jsonb[]) AS pinned,
           unnest(@transaction_ids::uuid[]) AS transaction_id, unnest(@updated_ats::timestamptz[]) AS updated_at
) n
WHERE h.user_id = n.user_id AND h.id = n.id;

-- name: CreditHoldListDue :many
-- Those that are over by a moment. To be called under CreditAccountLock.
SELECT * FROM credit_holds WHERE user_id = ANY (@user_ids::uuid[]) AND status = 'active' AND expires_at <= @until;

-- name: CreditHoldListNamed :many
-- With their text, which a capture repeats. To be called under CreditAccountLock.
SELECT sqlc.embed(h), t.description, t.metadata
FROM (SELECT unnest(@user_ids::uuid[]) AS user_id, unnest(@ids::uuid[]) AS id) n
JOIN credit_holds h ON h.user_id = n.user_id AND h.id = n.id
LEFT JOIN credit_hold_notes t ON t.user_id = h.user_id AND t.hold_id = h.id;

-- name: CreditHoldOwner :one
SELECT user_id FROM credit_holds WHERE id = @id;

-- name: CreditHoldGet :one
SELECT sqlc.embed(h), n.description, n.metadata
FROM credit_holds h
LEFT JOIN credit_hold_notes n ON n.user_id = h.user_id AND n.hold_id = h.id
WHERE h.id = @id;

-- name: CreditHoldNoteInsertMany :exec
INSERT INTO credit_hold_notes (user_id, hold_id, salt, description, metadata)
SELECT n.user_id, n.hold_id, n.salt, nullif(n.description, ''), nullif(n.metadata, 'null')::json
FROM (
    SELECT unnest(@user_ids::uuid[]) AS user_id, unnest(@hold_ids::uuid[]) AS hold_id, unnest(@salts::bytea[]) AS salt,
           unnest(@descriptions::text[]) AS description, unnest(@metadatas::text[]) AS metadata
) n;

-- name: CreditHoldNoteDeleteOfUser :exec
-- A person's text; the chain holds its digest only.
DELETE FROM credit_hold_notes WHERE user_id = @user_id;

-- name: CreditHoldList :many
-- Newest first: ids are made of the times at which holds were placed.
SELECT sqlc.embed(h), n.description, n.metadata
FROM credit_holds h
LEFT JOIN credit_hold_notes n ON n.user_id = h.user_id AND n.hold_id = h.id
WHERE h.user_id = @user_id AND h.id < @before
ORDER BY h.id DESC
LIMIT @page_size;
