-- name: RefreshTokenInsert :exec
INSERT INTO refresh_tokens (token_hash, session_id, created_at, expires_at)
VALUES (@token_hash, @session_id, @now, @expires_at);

-- name: RefreshTokenLock :one
-- Locks the token's session, so that exchanges of one session happen one after
-- the other. A statement of its own: a waiter that gets the lock must read the
-- token only afterwards (RefreshTokenGet), with a snapshot that shows what the
-- exchange before it did.
SELECT s.id
FROM sessions s
WHERE s.id = (SELECT t.session_id FROM refresh_tokens t WHERE t.token_hash = @token_hash)
FOR UPDATE;

-- name: RefreshTokenGet :one
-- To be called under RefreshTokenLock.
SELECT t.expires_at, t.rotated_at,
       s.id AS session_id, s.expires_at AS session_expires_at, s.ended_at AS session_ended_at,
       sqlc.embed(u)
FROM refresh_tokens t
JOIN sessions s ON s.id = t.session_id
JOIN users u ON u.id = s.user_id
WHERE t.token_hash = @token_hash;

-- name: RefreshTokenRotated :exec
UPDATE refresh_tokens SET rotated_at = @now WHERE token_hash = @token_hash;

-- name: RefreshTokenExpiry :one
SELECT expires_at FROM refresh_tokens WHERE token_hash = @token_hash;
