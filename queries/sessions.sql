-- name: SessionInsert :exec
INSERT INTO sessions (id, user_id, user_agent, ip, created_at, last_used_at, expires_at)
VALUES (@id, @user_id, @user_agent, @ip, @now, @now, @expires_at);

-- name: SessionCaller :one
-- Who stands behind an access token, asked at every request: logout,
-- suspension and a change of role hold from the next request on.
SELECT u.role
FROM sessions s
JOIN users u ON u.id = s.user_id
WHERE s.id = @id AND s.user_id = @user_id AND s.ended_at IS NULL AND s.expires_at > @now AND u.status = 'active';

-- name: SessionEnd :exec
-- The first reason stays.
UPDATE sessions SET ended_at = @now, end_reason = @reason WHERE id = @id AND ended_at IS NULL;

-- name: SessionUsed :exec
UPDATE sessions SET last_used_at = @now WHERE id = @id;
