-- name: UserInsert :one
-- Fails on users_email_key when the address is taken: uniqueness is decided
-- here and nowhere else, so that parallel registrations make one account.
INSERT INTO users (id, email, name, role, password_hash, created_at, updated_at)
VALUES (@id, @email, @name, @role, @password_hash, @now, @now)
RETURNING *;

-- name: UserGet :one
SELECT * FROM users WHERE id = @id;

-- name: UserGetByEmail :one
SELECT * FROM users WHERE email = @email;

-- name: UserUpdate :one
-- Null leaves a column as it is.
UPDATE users
SET name = coalesce(sqlc.narg(name), name),
    metadata = coalesce(sqlc.narg(metadata), metadata),
    updated_at = @now
WHERE id = @id
RETURNING *;

-- name: UserLoggedIn :one
UPDATE users SET last_login_at = @now WHERE id = @id RETURNING *;
