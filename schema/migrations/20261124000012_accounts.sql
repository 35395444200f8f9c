-- migrate:up

-- A deleted user is a row without a person: the ledger and the audit events
-- still name its id.
ALTER TABLE users
    ALTER COLUMN email DROP NOT NULL,
    ADD COLUMN suspended_at      timestamptz,
    -- When a suspension ends by itself; null for never.
    ADD COLUMN suspended_until   timestamptz,
    ADD COLUMN suspension_reason text,
    ADD COLUMN deleted_at        timestamptz,
    ADD CONSTRAINT users_suspension_reason_length CHECK (length(suspension_reason) <= 500),
    ADD CONSTRAINT users_deleted_without_person CHECK (
        CASE
            WHEN deleted_at IS NULL THEN email IS NOT NULL
            ELSE email IS NULL AND password_hash IS NULL AND name = '' AND metadata::text = '{}'
                AND suspension_reason IS NULL AND role = 'user'
        END
    );

-- The few that a list asks for among the many.
CREATE INDEX users_admin_idx ON users (id) WHERE role = 'admin';
CREATE INDEX users_suspended_idx ON users (id) WHERE status = 'suspended';

-- Search by a part of an address or a name. The index needs an extension that
-- comes with PostgreSQL, but that not every build has and not every owner may
-- create; without it the search works and is slow.
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX users_search_idx ON users USING gin ((coalesce(email, '') || ' ' || lower(name)) gin_trgm_ops);
EXCEPTION
    WHEN insufficient_privilege OR feature_not_supported OR undefined_file THEN
        RAISE NOTICE 'pg_trgm is not available: the search of users has no index';
END
$$;

ALTER TABLE sessions
    DROP CONSTRAINT sessions_end_reason_known,
    ADD CONSTRAINT sessions_end_reason_known CHECK (
        end_reason IN (
            'logout', 'refresh_token_reused', 'ended_by_user', 'ended_by_admin', 'session_limit',
            'password_changed', 'password_reset', 'suspended'
        )
    );

-- What is over, for the clean-up.
CREATE INDEX sessions_over_idx ON sessions ((coalesce(ended_at, expires_at)));

-- What was mailed as a link. One row a user and purpose: asking again replaces
-- it, which makes the older link void. Redeeming deletes it.
CREATE TABLE one_time_tokens (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    purpose    text NOT NULL,
    -- The address that the link is sent to, and so proves.
    email      text NOT NULL,
    token_hash bytea NOT NULL CONSTRAINT one_time_tokens_token_hash_key UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT one_time_tokens_user_id_purpose_key UNIQUE (user_id, purpose),
    CONSTRAINT one_time_tokens_purpose_known CHECK (purpose IN ('verify_email', 'change_email', 'set_password')),
    CONSTRAINT one_time_tokens_hash_length CHECK (octet_length(token_hash) = 32)
);

CREATE INDEX one_time_tokens_expires_at_idx ON one_time_tokens (expires_at);

-- A rotated key has two secrets for a while.
ALTER TABLE api_keys
    ADD COLUMN rotated_at           timestamptz,
    ADD COLUMN previous_secret_hash bytea,
    ADD COLUMN previous_expires_at  timestamptz,
    ADD CONSTRAINT api_keys_previous_secret CHECK (
        (previous_secret_hash IS NULL) = (previous_expires_at IS NULL) AND octet_length(previous_secret_hash) = 32
    );

-- The key that will sign next is published before it does; one an algorithm.
CREATE UNIQUE INDEX signing_keys_next_key ON signing_keys (algorithm) WHERE state = 'next';

-- The account of a deleted user: nothing moves any more.
ALTER TABLE credit_accounts ADD COLUMN closed_at timestamptz;

-- Refusals that are kept for a while only.
CREATE INDEX idempotency_keys_refused_idx ON idempotency_keys (created_at) WHERE sequence IS NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON one_time_tokens TO authservice_runtime;
-- A key that can verify nothing any more is removed.
GRANT DELETE ON signing_keys TO authservice_runtime;

-- migrate:down

REVOKE DELETE ON signing_keys FROM authservice_runtime;
DROP INDEX idempotency_keys_refused_idx;
ALTER TABLE credit_accounts DROP COLUMN closed_at;
DROP INDEX signing_keys_next_key;
ALTER TABLE api_keys DROP COLUMN previous_expires_at, DROP COLUMN previous_secret_hash, DROP COLUMN rotated_at;
DROP TABLE one_time_tokens;
DROP INDEX sessions_over_idx;
ALTER TABLE sessions
    DROP CONSTRAINT sessions_end_reason_known,
    ADD CONSTRAINT sessions_end_reason_known CHECK (end_reason IN ('logout', 'refresh_token_reused')) NOT VALID;
DROP INDEX IF EXISTS users_search_idx;
DROP INDEX users_suspended_idx, users_admin_idx;
-- Who is deleted cannot come back; a placeholder keeps the ledger's reference.
UPDATE users SET email = id::text || '@deleted.invalid' WHERE email IS NULL;
ALTER TABLE users
    DROP CONSTRAINT users_deleted_without_person,
    DROP COLUMN deleted_at, DROP COLUMN suspension_reason, DROP COLUMN suspended_until, DROP COLUMN suspended_at,
    ALTER COLUMN email SET NOT NULL;
