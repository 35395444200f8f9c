-- name: OneTimeTokenUpsert :exec
-- Asking again makes the older link void.
INSERT INTO one_time_tokens (id, user_id, purpose, email, token_hash, created_at, expires_at)
VALUES (@id, @user_id, @purpose, @email, @token_hash, @now, @expires_at)
ON CONFLICT ON CONSTRAINT one_time_tokens_user_id_purpose_key DO UPDATE
SET id = excluded.id, email = excluded.email, token_hash = excluded.token_hash,
    created_at = excluded.created_at, expires_at = excluded.expires_at;

-- name: OneTimeTokenSent :one
-- The time to live begins when the link is mailed, however long the mail had
-- to wait. No row: the link was replaced or used, and the mail is moot.
UPDATE one_time_tokens SET expires_at = @expires_at WHERE id = @id
RETURNING *;

-- name: OneTimeTokenGet :one
SELECT * FROM one_time_tokens WHERE token_hash = @token_hash AND expires_at > @now;

-- name: OneTimeTokenRedeem :one
-- Of any number who redeem one token at the same time one gets the row; the
-- others wait for its commit, and then find nothing.
DELETE FROM one_time_tokens WHERE token_hash = @token_hash AND expires_at > @now
RETURNING *;

-- name: OneTimeTokenDeleteOfUser :exec
DELETE FROM one_time_tokens WHERE user_id = @user_id;

-- name: OneTimeTokenDeleteExpired :execrows
DELETE FROM one_time_tokens WHERE expires_at < @now;

-- name: OneTimeTokenDelete :exec
DELETE FROM one_time_tokens WHERE user_id = @user_id AND purpose = @purpose;
