-- name: UserInsert :one
-- Fails on users_email_key when the address is taken: uniqueness is decided
-- here and nowhere else, so that parallel registrations make one account.
INSERT INTO users (id, email, email_verified, name, locale, role, password_hash, created_at, updated_at)
VALUES (@id, @email, @email_verified, @name, sqlc.narg(locale), @role, @password_hash, @now, @now)
RETURNING *;

-- name: UserGet :one
SELECT * FROM users WHERE id = @id AND deleted_at IS NULL;

-- name: UserGetByEmail :one
SELECT * FROM users WHERE email = @email;

-- name: UserLock :one
-- Whatever changes who a user is, or what they may, begins here: changes of one
-- user happen one after the other. It comes before any lock on the user's
-- sessions, and after UserLockAdmins where both are needed.
SELECT * FROM users WHERE id = @id AND deleted_at IS NULL FOR UPDATE;

-- name: UserLockAdmins :many
-- Who could still administer if one of them could not: administrators who are
-- able to log in. Locked in one order, so that two who demote each other at the
-- same time do so one after the other, and the second sees the first.
SELECT id FROM users
WHERE role = 'admin' AND password_hash IS NOT NULL AND deleted_at IS NULL
  AND (status = 'active' OR suspended_until <= @now)
ORDER BY id
FOR UPDATE;

-- name: UserList :many
-- Newest first: ids are UUIDv7. A suspension that has run out is none.
SELECT * FROM users
WHERE deleted_at IS NULL
  AND id < @before
  AND (sqlc.narg(email)::text IS NULL OR email = sqlc.narg(email))
  AND (sqlc.narg(role)::text IS NULL OR role = sqlc.narg(role))
  AND (
      sqlc.narg(status)::text IS NULL
      OR sqlc.narg(status) = 'suspended' AND status = 'suspended' AND (suspended_until IS NULL OR suspended_until > @now)
      OR sqlc.narg(status) = 'active' AND (status = 'active' OR suspended_until <= @now)
  )
  AND (sqlc.narg(pattern)::text IS NULL OR coalesce(email, '') || ' ' || lower(name) LIKE sqlc.narg(pattern))
ORDER BY id DESC
LIMIT @page_size;

-- name: UserUpdate :one
-- Null leaves a column as it is; an empty locale is none.
UPDATE users
SET name = coalesce(sqlc.narg(name), name),
    locale = nullif(coalesce(sqlc.narg(locale), locale), ''),
    metadata = coalesce(sqlc.narg(metadata), metadata),
    role = coalesce(sqlc.narg(role), role),
    updated_at = @now
WHERE id = @id AND deleted_at IS NULL
RETURNING *;

-- name: UserLoggedIn :one
-- Finds nobody who was suspended or deleted while the password was checked. It
-- locks the user, as whoever suspends does, so that a login either comes before
-- a suspension, which then ends its session, or fails here.
UPDATE users SET last_login_at = @now
WHERE id = @id AND deleted_at IS NULL AND (status = 'active' OR suspended_until <= @now)
RETURNING *;

-- name: UserSetPassword :one
UPDATE users SET password_hash = @password_hash, updated_at = @now
WHERE id = @id AND deleted_at IS NULL
RETURNING *;

-- name: UserUpgradePassword :exec
-- The same password under newer rules. Whoever has changed it meanwhile wins.
UPDATE users SET password_hash = @new_hash WHERE id = @id AND password_hash = @old_hash;

-- name: UserSetEmail :one
-- Fails on users_email_key when somebody else has taken the address meanwhile.
UPDATE users SET email = @email, email_verified = true, updated_at = @now
WHERE id = @id AND deleted_at IS NULL
RETURNING *;

-- name: UserSuspend :one
UPDATE users
SET status = 'suspended', suspended_at = @now, suspended_until = @until, suspension_reason = @reason, updated_at = @now
WHERE id = @id AND deleted_at IS NULL
RETURNING *;

-- name: UserUnsuspend :one
UPDATE users
SET status = 'active', suspended_at = NULL, suspended_until = NULL, suspension_reason = NULL, updated_at = @now
WHERE id = @id AND deleted_at IS NULL
RETURNING *;

-- name: UserListSuspensionsOver :many
-- Locks what it lists; those that somebody else is changing wait for the next time.
SELECT id FROM users
WHERE status = 'suspended' AND suspended_until <= @now
ORDER BY id
LIMIT @page_size
FOR UPDATE SKIP LOCKED;

-- name: UserErase :exec
-- What is left is the id, which the ledger and the audit events name.
UPDATE users
SET email = NULL, email_verified = false, name = '', locale = NULL, metadata = '{}', role = 'user', status = 'active', password_hash = NULL,
    suspended_at = NULL, suspended_until = NULL, suspension_reason = NULL, last_login_at = NULL,
    deleted_at = @now::timestamptz, updated_at = @now
WHERE id = @id AND deleted_at IS NULL;
