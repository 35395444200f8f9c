-- The schema that schema/migrations adds up to. Written by go run ./schema/dump; do not edit.

CREATE FUNCTION public.credit_history_is_immutable() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% on % refused: applied transactions are never changed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TABLE public.api_keys (
    id uuid NOT NULL,
    name text NOT NULL,
    secret_hash bytea NOT NULL,
    scopes text[] NOT NULL,
    created_by uuid,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone,
    deleted_at timestamp with time zone,
    CONSTRAINT api_keys_name_length CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT api_keys_scopes_known CHECK (((cardinality(scopes) > 0) AND (scopes <@ ARRAY['credits:read'::text, 'credits:grant'::text, 'credits:debit'::text, 'credits:transfer'::text, 'users:read'::text, 'users:write'::text, 'audit:read'::text]))),
    CONSTRAINT api_keys_secret_hash_length CHECK ((octet_length(secret_hash) = 32))
);

CREATE TABLE public.credit_accounts (
    user_id uuid NOT NULL,
    balance bigint DEFAULT 0 NOT NULL,
    held bigint DEFAULT 0 NOT NULL,
    sequence bigint DEFAULT 0 NOT NULL,
    head_hash bytea DEFAULT '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT credit_accounts_balance_range CHECK (((balance >= 0) AND (balance <= '9007199254740991'::bigint))),
    CONSTRAINT credit_accounts_head_hash_length CHECK ((octet_length(head_hash) = 32)),
    CONSTRAINT credit_accounts_held_range CHECK (((held >= 0) AND (held <= balance))),
    CONSTRAINT credit_accounts_sequence_range CHECK ((sequence >= 0))
)
WITH (fillfactor='80');

CREATE TABLE public.credit_grants (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    sequence bigint NOT NULL,
    amount bigint NOT NULL,
    remaining bigint NOT NULL,
    held bigint DEFAULT 0 NOT NULL,
    expired bigint DEFAULT 0 NOT NULL,
    priority smallint NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    open boolean GENERATED ALWAYS AS ((remaining > held)) STORED NOT NULL,
    CONSTRAINT credit_grants_amount_positive CHECK ((amount > 0)),
    CONSTRAINT credit_grants_expired_range CHECK (((expired >= 0) AND (expired <= (amount - remaining)))),
    CONSTRAINT credit_grants_held_range CHECK (((held >= 0) AND (held <= remaining))),
    CONSTRAINT credit_grants_priority_range CHECK (((priority >= 0) AND (priority <= 100))),
    CONSTRAINT credit_grants_remaining_range CHECK (((remaining >= 0) AND (remaining <= amount)))
)
WITH (fillfactor='80');

CREATE TABLE public.credit_transaction_notes (
    user_id uuid NOT NULL,
    sequence bigint NOT NULL,
    salt bytea NOT NULL,
    description text,
    metadata json,
    CONSTRAINT credit_transaction_notes_not_empty CHECK (((description IS NOT NULL) OR (metadata IS NOT NULL))),
    CONSTRAINT credit_transaction_notes_salt_length CHECK ((octet_length(salt) = 16))
);

CREATE TABLE public.credit_transactions (
    user_id uuid NOT NULL,
    sequence bigint NOT NULL,
    id uuid NOT NULL,
    type text NOT NULL,
    amount bigint NOT NULL,
    balance_after bigint NOT NULL,
    reference text,
    note_digest bytea,
    hold_id uuid,
    reverses_id uuid,
    grant_id uuid,
    burned jsonb DEFAULT '[]'::jsonb NOT NULL,
    actor_type text NOT NULL,
    actor_id uuid,
    idempotency_key text,
    hash bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT credit_transactions_actor_known CHECK (((actor_type = ANY (ARRAY['user'::text, 'api_key'::text, 'system'::text])) AND ((actor_type = 'system'::text) = (actor_id IS NULL)))),
    CONSTRAINT credit_transactions_amount_not_zero CHECK ((amount <> 0)),
    CONSTRAINT credit_transactions_amount_sign CHECK (
CASE
    WHEN (type = ANY (ARRAY['grant'::text, 'transfer_in'::text])) THEN (amount > 0)
    WHEN (type = ANY (ARRAY['debit'::text, 'capture'::text, 'transfer_out'::text, 'expiry'::text, 'revocation'::text])) THEN (amount < 0)
    ELSE true
END),
    CONSTRAINT credit_transactions_balance_after_range CHECK (((balance_after >= 0) AND (balance_after <= '9007199254740991'::bigint))),
    CONSTRAINT credit_transactions_hash_length CHECK (((octet_length(hash) = 32) AND (octet_length(note_digest) = 32))),
    CONSTRAINT credit_transactions_sequence_positive CHECK ((sequence > 0)),
    CONSTRAINT credit_transactions_type_known CHECK ((type = ANY (ARRAY['grant'::text, 'debit'::text, 'capture'::text, 'reversal'::text, 'transfer_in'::text, 'transfer_out'::text, 'expiry'::text, 'revocation'::text])))
);

CREATE TABLE public.idempotency_keys (
    caller_id uuid NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    user_id uuid,
    sequence bigint,
    status smallint NOT NULL,
    body bytea,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT idempotency_keys_fingerprint_length CHECK ((octet_length(fingerprint) = 32)),
    CONSTRAINT idempotency_keys_key_length CHECK (((length(key) >= 1) AND (length(key) <= 255))),
    CONSTRAINT idempotency_keys_transaction_or_body CHECK ((((user_id IS NULL) = (sequence IS NULL)) AND ((sequence IS NULL) <> (body IS NULL))))
);

CREATE TABLE public.refresh_tokens (
    token_hash bytea NOT NULL,
    session_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    rotated_at timestamp with time zone,
    CONSTRAINT refresh_tokens_hash_length CHECK ((octet_length(token_hash) = 32))
);

CREATE TABLE public.schema_migrations (
    version character varying NOT NULL
);

CREATE TABLE public.sessions (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    user_agent text DEFAULT ''::text NOT NULL,
    ip inet,
    created_at timestamp with time zone NOT NULL,
    last_used_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    end_reason text,
    CONSTRAINT sessions_end_has_reason CHECK (((ended_at IS NULL) = (end_reason IS NULL))),
    CONSTRAINT sessions_end_reason_known CHECK ((end_reason = ANY (ARRAY['logout'::text, 'refresh_token_reused'::text])))
);

CREATE TABLE public.signing_keys (
    kid text NOT NULL,
    algorithm text NOT NULL,
    state text NOT NULL,
    private_key_enc bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    activated_at timestamp with time zone,
    retired_at timestamp with time zone,
    CONSTRAINT signing_keys_algorithm_known CHECK ((algorithm = ANY (ARRAY['EdDSA'::text, 'ES256'::text, 'RS256'::text, 'HS256'::text]))),
    CONSTRAINT signing_keys_state_known CHECK ((state = ANY (ARRAY['next'::text, 'active'::text, 'retired'::text])))
);

CREATE TABLE public.users (
    id uuid NOT NULL,
    email text NOT NULL,
    email_verified boolean DEFAULT false NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    metadata json DEFAULT '{}'::json NOT NULL,
    role text DEFAULT 'user'::text NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    password_hash text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    last_login_at timestamp with time zone,
    CONSTRAINT users_email_normalised CHECK (((email = lower((email COLLATE "C"))) AND ((length(email) >= 3) AND (length(email) <= 254)))),
    CONSTRAINT users_name_length CHECK ((length(name) <= 200)),
    CONSTRAINT users_role_known CHECK ((role = ANY (ARRAY['user'::text, 'admin'::text]))),
    CONSTRAINT users_status_known CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text])))
);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.credit_accounts
    ADD CONSTRAINT credit_accounts_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY public.credit_grants
    ADD CONSTRAINT credit_grants_pkey PRIMARY KEY (user_id, id);

ALTER TABLE ONLY public.credit_grants
    ADD CONSTRAINT credit_grants_sequence_key UNIQUE (user_id, sequence);

ALTER TABLE ONLY public.credit_transaction_notes
    ADD CONSTRAINT credit_transaction_notes_pkey PRIMARY KEY (user_id, sequence);

ALTER TABLE ONLY public.credit_transactions
    ADD CONSTRAINT credit_transactions_pkey PRIMARY KEY (user_id, sequence);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (caller_id, key);

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.signing_keys
    ADD CONSTRAINT signing_keys_pkey PRIMARY KEY (kid);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_email_key UNIQUE (email);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

CREATE INDEX api_keys_created_by_idx ON public.api_keys USING btree (created_by);

CREATE INDEX credit_grants_burn_idx ON public.credit_grants USING btree (user_id, priority, expires_at, sequence) WHERE open;

CREATE INDEX credit_grants_expiry_idx ON public.credit_grants USING btree (user_id, expires_at, sequence) WHERE (open AND (expires_at IS NOT NULL));

CREATE UNIQUE INDEX credit_transactions_id_key ON public.credit_transactions USING btree (id);

CREATE INDEX credit_transactions_reference_idx ON public.credit_transactions USING btree (user_id, reference, sequence) WHERE (reference IS NOT NULL);

CREATE UNIQUE INDEX refresh_tokens_newest_key ON public.refresh_tokens USING btree (session_id) WHERE (rotated_at IS NULL);

CREATE INDEX refresh_tokens_session_id_idx ON public.refresh_tokens USING btree (session_id);

CREATE INDEX sessions_user_id_idx ON public.sessions USING btree (user_id, id);

CREATE UNIQUE INDEX signing_keys_active_key ON public.signing_keys USING btree (algorithm) WHERE (state = 'active'::text);

CREATE TRIGGER credit_transactions_immutable BEFORE DELETE OR UPDATE OR TRUNCATE ON public.credit_transactions FOR EACH STATEMENT EXECUTE FUNCTION public.credit_history_is_immutable();

CREATE TRIGGER idempotency_keys_immutable BEFORE DELETE OR UPDATE ON public.idempotency_keys FOR EACH ROW WHEN ((old.sequence IS NOT NULL)) EXECUTE FUNCTION public.credit_history_is_immutable();

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.credit_accounts
    ADD CONSTRAINT credit_accounts_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.credit_grants
    ADD CONSTRAINT credit_grants_user_id_sequence_fkey FOREIGN KEY (user_id, sequence) REFERENCES public.credit_transactions(user_id, sequence);

ALTER TABLE ONLY public.credit_transaction_notes
    ADD CONSTRAINT credit_transaction_notes_user_id_sequence_fkey FOREIGN KEY (user_id, sequence) REFERENCES public.credit_transactions(user_id, sequence);

ALTER TABLE ONLY public.credit_transactions
    ADD CONSTRAINT credit_transactions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.credit_accounts(user_id);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_user_id_sequence_fkey FOREIGN KEY (user_id, sequence) REFERENCES public.credit_transactions(user_id, sequence);

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

GRANT SELECT,INSERT,UPDATE ON TABLE public.api_keys TO authservice_runtime;

GRANT SELECT,INSERT,UPDATE ON TABLE public.credit_accounts TO authservice_runtime;

GRANT SELECT,INSERT,UPDATE ON TABLE public.credit_grants TO authservice_runtime;

GRANT SELECT,INSERT,DELETE ON TABLE public.credit_transaction_notes TO authservice_runtime;

GRANT SELECT,INSERT ON TABLE public.credit_transactions TO authservice_runtime;

GRANT SELECT,INSERT,DELETE ON TABLE public.idempotency_keys TO authservice_runtime;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.refresh_tokens TO authservice_runtime;

GRANT SELECT ON TABLE public.schema_migrations TO authservice_runtime;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.sessions TO authservice_runtime;

GRANT SELECT,INSERT,UPDATE ON TABLE public.signing_keys TO authservice_runtime;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.users TO authservice_runtime;
