-- migrate:up

-- The run-time role: what the service may do once it runs. The login role of a
-- deployment is made a member of it (GRANT authservice_runtime TO …); whoever
-- migrates owns the tables. Roles belong to the cluster, not to the database,
-- so that another database of it may have made this one already; looking first
-- lets an owner migrate who may not make roles.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'authservice_runtime') THEN
        CREATE ROLE authservice_runtime NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

CREATE TABLE users (
    id             uuid PRIMARY KEY,
    -- Normalised before it comes here (NFKC, lower case, ASCII domain).
    email          text NOT NULL CONSTRAINT users_email_key UNIQUE,
    email_verified boolean NOT NULL DEFAULT false,
    name           text NOT NULL DEFAULT '',
    -- json, not jsonb: returned exactly as it was sent.
    metadata       json NOT NULL DEFAULT '{}',
    role           text NOT NULL DEFAULT 'user',
    status         text NOT NULL DEFAULT 'active',
    -- Names its scheme; null until the user has set a password.
    password_hash  text,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    last_login_at  timestamptz,
    CONSTRAINT users_email_normalised CHECK (email = lower(email COLLATE "C") AND length(email) BETWEEN 3 AND 254),
    CONSTRAINT users_name_length CHECK (length(name) <= 200),
    CONSTRAINT users_role_known CHECK (role IN ('user', 'admin')),
    CONSTRAINT users_status_known CHECK (status IN ('active', 'suspended'))
);

CREATE TABLE sessions (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    user_agent   text NOT NULL DEFAULT '',
    ip           inet,
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    -- However often it is refreshed, a session ends here.
    expires_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    end_reason   text,
    CONSTRAINT sessions_end_has_reason CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    CONSTRAINT sessions_end_reason_known CHECK (end_reason IN ('logout', 'refresh_token_reused'))
);

CREATE INDEX sessions_user_id_idx ON sessions (user_id, id);

-- Every refresh token that a session ever had: the newest has no rotated_at.
-- Older ones are kept so that their reuse is recognised.
CREATE TABLE refresh_tokens (
    token_hash bytea PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    rotated_at timestamptz,
    CONSTRAINT refresh_tokens_hash_length CHECK (octet_length(token_hash) = 32)
);

CREATE INDEX refresh_tokens_session_id_idx ON refresh_tokens (session_id);
CREATE UNIQUE INDEX refresh_tokens_newest_key ON refresh_tokens (session_id) WHERE rotated_at IS NULL;

CREATE TABLE signing_keys (
    -- The RFC 7638 thumbprint of the public key.
    kid             text PRIMARY KEY,
    algorithm       text NOT NULL,
    state           text NOT NULL,
    -- PKCS #8, or the bare secret for HS256, under AES-256-GCM.
    private_key_enc bytea NOT NULL,
    created_at      timestamptz NOT NULL,
    activated_at    timestamptz,
    retired_at      timestamptz,
    CONSTRAINT signing_keys_algorithm_known CHECK (algorithm IN ('EdDSA', 'ES256', 'RS256', 'HS256')),
    CONSTRAINT signing_keys_state_known CHECK (state IN ('next', 'active', 'retired'))
);

-- Replicas that start together agree on one key: the second insert fails here.
CREATE UNIQUE INDEX signing_keys_active_key ON signing_keys (algorithm) WHERE state = 'active';

CREATE TABLE api_keys (
    id           uuid PRIMARY KEY,
    name         text NOT NULL,
    secret_hash  bytea NOT NULL,
    scopes       text[] NOT NULL,
    created_by   uuid REFERENCES users (id) ON DELETE SET NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz,
    deleted_at   timestamptz,
    CONSTRAINT api_keys_name_length CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT api_keys_secret_hash_length CHECK (octet_length(secret_hash) = 32),
    CONSTRAINT api_keys_scopes_known CHECK (
        cardinality(scopes) > 0
        AND scopes <@ ARRAY['credits:read', 'credits:grant', 'credits:debit', 'credits:transfer', 'users:read', 'users:write', 'audit:read']
    )
);

CREATE INDEX api_keys_created_by_idx ON api_keys (created_by);

-- Written by dbmate; the service looks whether migrations are missing.
GRANT SELECT ON schema_migrations TO authservice_runtime;
GRANT SELECT, INSERT, UPDATE, DELETE ON users, sessions, refresh_tokens TO authservice_runtime;
GRANT SELECT, INSERT, UPDATE ON signing_keys, api_keys TO authservice_runtime;

-- migrate:down

DROP TABLE api_keys, signing_keys, refresh_tokens, sessions, users;
