-- name: AuditEventInsert :exec
-- Event and origin in one statement.
WITH event AS (
    INSERT INTO audit_events (id, type, actor_type, actor_id, target_type, target_id, request_id, details, created_at)
    VALUES (@id, @type, @actor_type, @actor_id, @target_type, @target_id, @request_id, @details, @now)
    RETURNING id
)
INSERT INTO audit_event_clients (event_id, ip, user_agent)
SELECT id, sqlc.narg(ip)::inet, @user_agent FROM event WHERE sqlc.narg(ip)::inet IS NOT NULL OR @user_agent <> '';

-- name: AuditEventList :many
-- Newest first. The bounds of time are bounds of ids as well, so that the
-- indexes serve them: ids are UUIDv7 of created_at.
SELECT sqlc.embed(e), c.ip, coalesce(c.user_agent, '') AS user_agent
FROM audit_events e
LEFT JOIN audit_event_clients c ON c.event_id = e.id
WHERE e.id < @before
  AND e.id >= @not_before
  AND (sqlc.narg(actor_id)::uuid IS NULL OR e.actor_id = sqlc.narg(actor_id))
  AND (sqlc.narg(target_id)::uuid IS NULL OR e.target_id = sqlc.narg(target_id))
  AND (sqlc.narg(type)::text IS NULL OR e.type = sqlc.narg(type))
  AND (sqlc.narg(since)::timestamptz IS NULL OR e.created_at >= sqlc.narg(since))
  AND (sqlc.narg(until)::timestamptz IS NULL OR e.created_at < sqlc.narg(until))
ORDER BY e.id DESC
LIMIT @page_size;

-- name: AuditEventListAbout :many
-- Everything held about a person: what they did and what was done to them.
SELECT sqlc.embed(e), c.ip, coalesce(c.user_agent, '') AS user_agent
FROM audit_events e
LEFT JOIN audit_event_clients c ON c.event_id = e.id
WHERE e.id < @before AND (e.actor_id = @user_id OR e.target_id = @user_id)
ORDER BY e.id DESC
LIMIT @page_size;

-- name: AuditEventEraseClients :exec
-- The addresses from which a person came, or somebody who tried to be them.
DELETE FROM audit_event_clients c
USING audit_events e
WHERE e.id = c.event_id AND (e.actor_id = @user_id OR e.target_id = @user_id);
