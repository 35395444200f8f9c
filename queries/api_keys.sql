-- name: APIKeyInsert :one
INSERT INTO api_keys (id, name, secret_hash, scopes, created_by, created_at, expires_at)
VALUES (@id, @name, @secret_hash, @scopes, @created_by, @now, @expires_at)
RETURNING *;

-- name: APIKeyListByID :many
SELECT * FROM api_keys WHERE id = ANY (@ids::uuid[]) AND deleted_at IS NULL;

-- name: APIKeyList :many
-- Newest first: ids are UUIDv7.
SELECT * FROM api_keys
WHERE deleted_at IS NULL AND id < @before
ORDER BY id DESC
LIMIT @page_size;

-- name: APIKeyDelete :execrows
UPDATE api_keys SET deleted_at = @now WHERE id = @id AND deleted_at IS NULL;

-- name: APIKeyRotate :one
-- The secret until now goes on for a while beside the new one; the one before it is void.
UPDATE api_keys
SET previous_secret_hash = secret_hash, previous_expires_at = @previous_expires_at::timestamptz,
    secret_hash = @secret_hash, rotated_at = @now::timestamptz
WHERE id = @id AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > @now)
RETURNING *;

-- name: APIKeyListOfUser :many
-- The keys that a person made.
SELECT * FROM api_keys WHERE created_by = @user_id ORDER BY id DESC;

-- name: APIKeyUsed :exec
-- The caller asks only when the last use is more than a minute old, so that a
-- busy key is not a busy row.
UPDATE api_keys SET last_used_at = @now WHERE id = @id AND (last_used_at IS NULL OR last_used_at < @now);
