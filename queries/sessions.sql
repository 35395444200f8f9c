-- name: SessionInsert :exec
INSERT INTO sessions (id, user_id, user_agent, ip, created_at, last_used_at, expires_at)
VALUES (@id, @user_id, @user_agent, @ip, @now, @now, @expires_at);

-- name: SessionCallers :many
-- Who stands behind access tokens, asked at every request: logout, suspension,
-- deletion and a change of role hold from the next request on.
SELECT s.id, s.user_id, u.role
FROM sessions s
JOIN users u ON u.id = s.user_id
WHERE s.id = ANY (@ids::uuid[]) AND s.ended_at IS NULL AND s.expires_at > @now
  AND u.deleted_at IS NULL AND (u.status = 'active' OR u.suspended_until <= @now);

-- name: SessionEnd :execrows
-- The first reason stays.
UPDATE sessions SET ended_at = @now, end_reason = @reason
WHERE id = @id AND user_id = @user_id AND ended_at IS NULL;

-- name: SessionEndAll :many
-- All of a user, but the one to keep, if there is one. To be called under
-- UserLock or UserLoggedIn, so that no login adds a session that it does not see.
UPDATE sessions SET ended_at = @now, end_reason = @reason
WHERE user_id = @user_id AND ended_at IS NULL AND id IS DISTINCT FROM sqlc.narg(keep)
RETURNING id;

-- name: SessionEndOldest :many
-- All but the newest so many. To be called under UserLoggedIn.
UPDATE sessions SET ended_at = @now, end_reason = 'session_limit'
WHERE id IN (
    SELECT s.id FROM sessions s
    WHERE s.user_id = @user_id AND s.ended_at IS NULL AND s.expires_at > @now::timestamptz
    ORDER BY s.id DESC
    OFFSET @keep::int
) AND ended_at IS NULL
RETURNING id;

-- name: SessionList :many
-- Those that are alive, newest first.
SELECT * FROM sessions
WHERE user_id = @user_id AND id < @before AND ended_at IS NULL AND expires_at > @now
ORDER BY id DESC
LIMIT @page_size;

-- name: SessionListAll :many
-- Everything held about a user's sessions.
SELECT * FROM sessions WHERE user_id = @user_id ORDER BY id DESC;

-- name: SessionUsed :exec
UPDATE sessions SET last_used_at = @now WHERE id = @id;

-- name: SessionDeleteOfUser :exec
-- With their refresh tokens.
DELETE FROM sessions WHERE user_id = @user_id;

-- name: SessionDeleteOver :execrows
-- Those that were over before a moment, with their refresh tokens.
DELETE FROM sessions
WHERE id IN (
    SELECT s.id FROM sessions s
    WHERE coalesce(s.ended_at, s.expires_at) < @before
    LIMIT @page_size
    FOR UPDATE SKIP LOCKED
);
