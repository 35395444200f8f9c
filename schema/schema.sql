-- The schema that schema/migrations adds up to. Written by go run ./schema/dump; do not edit.

CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;

COMMENT ON EXTENSION pg_trgm IS 'text similarity measurement and index searching based on trigrams';

CREATE TYPE public.river_job_state AS ENUM (
    'available',
    'cancelled',
    'completed',
    'discarded',
    'pending',
    'retryable',
    'running',
    'scheduled'
);

CREATE FUNCTION public.audit_events_are_immutable() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% on % refused: what happened is never changed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE FUNCTION public.credit_history_is_immutable() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% on % refused: applied transactions are never changed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE FUNCTION public.ledger_checkpoints_are_immutable() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% on % refused: checkpoints are never changed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE FUNCTION public.river_job_state_in_bitmask(bitmask bit, state public.river_job_state) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE state
        WHEN 'available' THEN get_bit(bitmask, 7)
        WHEN 'cancelled' THEN get_bit(bitmask, 6)
        WHEN 'completed' THEN get_bit(bitmask, 5)
        WHEN 'discarded' THEN get_bit(bitmask, 4)
        WHEN 'pending'   THEN get_bit(bitmask, 3)
        WHEN 'retryable' THEN get_bit(bitmask, 2)
        WHEN 'running'   THEN get_bit(bitmask, 1)
        WHEN 'scheduled' THEN get_bit(bitmask, 0)
        ELSE 0
    END = 1;
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
    rotated_at timestamp with time zone,
    previous_secret_hash bytea,
    previous_expires_at timestamp with time zone,
    CONSTRAINT api_keys_name_length CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT api_keys_previous_secret CHECK ((((previous_secret_hash IS NULL) = (previous_expires_at IS NULL)) AND (octet_length(previous_secret_hash) = 32))),
    CONSTRAINT api_keys_scopes_known CHECK (((cardinality(scopes) > 0) AND (scopes <@ ARRAY['credits:read'::text, 'credits:grant'::text, 'credits:debit'::text, 'credits:transfer'::text, 'users:read'::text, 'users:write'::text, 'audit:read'::text]))),
    CONSTRAINT api_keys_secret_hash_length CHECK ((octet_length(secret_hash) = 32))
);

CREATE TABLE public.audit_event_clients (
    event_id uuid NOT NULL,
    ip inet,
    user_agent text DEFAULT ''::text NOT NULL
);

CREATE TABLE public.audit_events (
    id uuid NOT NULL,
    type text NOT NULL,
    actor_type text NOT NULL,
    actor_id uuid,
    target_type text,
    target_id uuid,
    request_id text,
    details json DEFAULT '{}'::json NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT audit_events_actor_known CHECK (((actor_type = ANY (ARRAY['user'::text, 'api_key'::text, 'system'::text, 'anonymous'::text])) AND ((actor_type = ANY (ARRAY['user'::text, 'api_key'::text])) = (actor_id IS NOT NULL)))),
    CONSTRAINT audit_events_target_known CHECK (
CASE
    WHEN (target_type IS NULL) THEN (target_id IS NULL)
    ELSE (target_type = ANY (ARRAY['user'::text, 'api_key'::text, 'signing_key'::text]))
END)
);

CREATE TABLE public.credit_accounts (
    user_id uuid NOT NULL,
    balance bigint DEFAULT 0 NOT NULL,
    held bigint DEFAULT 0 NOT NULL,
    sequence bigint DEFAULT 0 NOT NULL,
    head_hash bytea DEFAULT '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    hold_events bigint DEFAULT 0 NOT NULL,
    CONSTRAINT credit_accounts_balance_range CHECK (((balance >= 0) AND (balance <= '9007199254740991'::bigint))),
    CONSTRAINT credit_accounts_head_hash_length CHECK ((octet_length(head_hash) = 32)),
    CONSTRAINT credit_accounts_held_range CHECK (((held >= 0) AND (held <= balance))),
    CONSTRAINT credit_accounts_hold_events_range CHECK ((hold_events >= 0)),
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
    part smallint DEFAULT 0 NOT NULL,
    open_user_id uuid GENERATED ALWAYS AS (
CASE
    WHEN (remaining > held) THEN user_id
    ELSE NULL::uuid
END) STORED,
    CONSTRAINT credit_grants_amount_positive CHECK ((amount > 0)),
    CONSTRAINT credit_grants_expired_range CHECK (((expired >= 0) AND (expired <= (amount - remaining)))),
    CONSTRAINT credit_grants_held_range CHECK (((held >= 0) AND (held <= remaining))),
    CONSTRAINT credit_grants_part_range CHECK ((part >= 0)),
    CONSTRAINT credit_grants_priority_range CHECK (((priority >= 0) AND (priority <= 100))),
    CONSTRAINT credit_grants_remaining_range CHECK (((remaining >= 0) AND (remaining <= amount)))
)
WITH (fillfactor='80');

CREATE TABLE public.credit_hold_events (
    user_id uuid NOT NULL,
    number bigint NOT NULL,
    hold_id uuid NOT NULL,
    type text NOT NULL,
    amount bigint NOT NULL,
    captured bigint NOT NULL,
    status text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    reference text,
    note_digest bytea,
    transaction_id uuid,
    pinned jsonb NOT NULL,
    held_after bigint NOT NULL,
    actor_type text NOT NULL,
    actor_id uuid,
    idempotency_key text,
    hash bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT credit_hold_events_actor_known CHECK (((actor_type = ANY (ARRAY['user'::text, 'api_key'::text, 'system'::text])) AND ((actor_type = 'system'::text) = (actor_id IS NULL)))),
    CONSTRAINT credit_hold_events_hash_length CHECK (((octet_length(hash) = 32) AND (octet_length(note_digest) = 32))),
    CONSTRAINT credit_hold_events_held_after_range CHECK ((held_after >= 0)),
    CONSTRAINT credit_hold_events_number_positive CHECK ((number > 0)),
    CONSTRAINT credit_hold_events_status_known CHECK ((status = ANY (ARRAY['active'::text, 'captured'::text, 'voided'::text, 'expired'::text]))),
    CONSTRAINT credit_hold_events_type_known CHECK ((type = ANY (ARRAY['placed'::text, 'incremented'::text, 'captured'::text, 'voided'::text, 'expired'::text])))
);

CREATE TABLE public.credit_hold_notes (
    user_id uuid NOT NULL,
    hold_id uuid NOT NULL,
    salt bytea NOT NULL,
    description text,
    metadata json,
    CONSTRAINT credit_hold_notes_not_empty CHECK (((description IS NOT NULL) OR (metadata IS NOT NULL))),
    CONSTRAINT credit_hold_notes_salt_length CHECK ((octet_length(salt) = 16))
);

CREATE TABLE public.credit_holds (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    amount bigint NOT NULL,
    captured bigint DEFAULT 0 NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    reference text,
    pinned jsonb NOT NULL,
    transaction_id uuid,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT credit_holds_active_pins CHECK (((status = 'active'::text) = (pinned <> '[]'::jsonb))),
    CONSTRAINT credit_holds_amount_range CHECK (((amount >= 1) AND (amount <= '9007199254740991'::bigint))),
    CONSTRAINT credit_holds_captured_range CHECK (((captured >= 0) AND (captured <= amount))),
    CONSTRAINT credit_holds_status_known CHECK ((status = ANY (ARRAY['active'::text, 'captured'::text, 'voided'::text, 'expired'::text])))
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
    transfer_id uuid,
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
    hold_event bigint,
    parts json,
    CONSTRAINT idempotency_keys_fingerprint_length CHECK ((octet_length(fingerprint) = 32)),
    CONSTRAINT idempotency_keys_key_length CHECK (((length(key) >= 1) AND (length(key) <= 255))),
    CONSTRAINT idempotency_keys_one_outcome CHECK (((num_nonnulls(sequence, hold_event, parts, body) = 1) AND ((user_id IS NOT NULL) = ((sequence IS NOT NULL) OR (hold_event IS NOT NULL)))))
);

CREATE TABLE public.ledger_checkpoint_heads (
    user_id uuid NOT NULL,
    checkpoint bigint NOT NULL,
    sequence bigint NOT NULL,
    hold_events bigint NOT NULL,
    head_hash bytea NOT NULL,
    CONSTRAINT ledger_checkpoint_heads_counts_range CHECK (((sequence >= 0) AND (hold_events >= 0))),
    CONSTRAINT ledger_checkpoint_heads_hash_length CHECK ((octet_length(head_hash) = 32))
);

CREATE TABLE public.ledger_checkpoints (
    number bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    accounts bigint NOT NULL,
    transactions bigint NOT NULL,
    hold_events bigint NOT NULL,
    root bytea NOT NULL,
    previous bytea NOT NULL,
    public_key bytea NOT NULL,
    signature bytea NOT NULL,
    CONSTRAINT ledger_checkpoints_counts_range CHECK (((accounts >= 0) AND (transactions >= 0) AND (hold_events >= 0))),
    CONSTRAINT ledger_checkpoints_lengths CHECK (((octet_length(root) = 32) AND (octet_length(previous) = 32) AND (octet_length(public_key) = 32) AND (octet_length(signature) = 64))),
    CONSTRAINT ledger_checkpoints_number_positive CHECK ((number > 0))
);

CREATE TABLE public.one_time_tokens (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    purpose text NOT NULL,
    email text NOT NULL,
    token_hash bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT one_time_tokens_hash_length CHECK ((octet_length(token_hash) = 32)),
    CONSTRAINT one_time_tokens_purpose_known CHECK ((purpose = ANY (ARRAY['verify_email'::text, 'change_email'::text, 'set_password'::text])))
);

CREATE UNLOGGED TABLE public.rate_limits (
    key bytea NOT NULL,
    attempted_at timestamp with time zone NOT NULL,
    tat timestamp with time zone NOT NULL,
    span interval NOT NULL,
    allowed boolean NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE public.refresh_tokens (
    token_hash bytea NOT NULL,
    session_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    rotated_at timestamp with time zone,
    CONSTRAINT refresh_tokens_hash_length CHECK ((octet_length(token_hash) = 32))
);

CREATE TABLE public.river_job (
    id bigint NOT NULL,
    state public.river_job_state DEFAULT 'available'::public.river_job_state NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    max_attempts smallint DEFAULT 25 NOT NULL,
    attempted_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finalized_at timestamp with time zone,
    scheduled_at timestamp with time zone DEFAULT now() NOT NULL,
    priority smallint DEFAULT 1 NOT NULL,
    args jsonb NOT NULL,
    attempted_by text[],
    errors jsonb[],
    kind text NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    queue text DEFAULT 'default'::text NOT NULL,
    tags character varying(255)[] DEFAULT '{}'::character varying[] NOT NULL,
    unique_key bytea,
    unique_states bit(8),
    CONSTRAINT finalized_or_finalized_at_null CHECK ((((finalized_at IS NULL) AND (state <> ALL (ARRAY['cancelled'::public.river_job_state, 'completed'::public.river_job_state, 'discarded'::public.river_job_state]))) OR ((finalized_at IS NOT NULL) AND (state = ANY (ARRAY['cancelled'::public.river_job_state, 'completed'::public.river_job_state, 'discarded'::public.river_job_state]))))),
    CONSTRAINT kind_length CHECK (((char_length(kind) > 0) AND (char_length(kind) < 128))),
    CONSTRAINT max_attempts_is_positive CHECK ((max_attempts > 0)),
    CONSTRAINT priority_in_range CHECK (((priority >= 1) AND (priority <= 4))),
    CONSTRAINT queue_length CHECK (((char_length(queue) > 0) AND (char_length(queue) < 128)))
);

CREATE SEQUENCE public.river_job_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.river_job_id_seq OWNED BY public.river_job.id;

CREATE UNLOGGED TABLE public.river_leader (
    elected_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    leader_id text NOT NULL,
    name text DEFAULT 'default'::text NOT NULL,
    CONSTRAINT leader_id_length CHECK (((char_length(leader_id) > 0) AND (char_length(leader_id) < 128))),
    CONSTRAINT name_length CHECK ((name = 'default'::text))
);

CREATE TABLE public.river_migration (
    line text NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT line_length CHECK (((char_length(line) > 0) AND (char_length(line) < 128))),
    CONSTRAINT version_gte_1 CHECK ((version >= 1))
);

CREATE TABLE public.river_notification (
    id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    payload text NOT NULL,
    topic text NOT NULL,
    CONSTRAINT topic_length CHECK (((length(topic) > 0) AND (length(topic) < 128)))
);

CREATE SEQUENCE public.river_notification_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.river_notification_id_seq OWNED BY public.river_notification.id;

CREATE TABLE public.river_queue (
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    paused_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
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
    CONSTRAINT sessions_end_reason_known CHECK ((end_reason = ANY (ARRAY['logout'::text, 'refresh_token_reused'::text, 'ended_by_user'::text, 'ended_by_admin'::text, 'session_limit'::text, 'password_changed'::text, 'password_reset'::text, 'suspended'::text])))
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

CREATE TABLE public.user_devices (
    user_id uuid NOT NULL,
    device text NOT NULL,
    first_seen_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone NOT NULL,
    CONSTRAINT user_devices_device_length CHECK ((length(device) <= 120))
);

CREATE TABLE public.users (
    id uuid NOT NULL,
    email text,
    email_verified boolean DEFAULT false NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    metadata json DEFAULT '{}'::json NOT NULL,
    role text DEFAULT 'user'::text NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    password_hash text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    last_login_at timestamp with time zone,
    suspended_at timestamp with time zone,
    suspended_until timestamp with time zone,
    suspension_reason text,
    deleted_at timestamp with time zone,
    locale text,
    CONSTRAINT users_deleted_without_person CHECK (
CASE
    WHEN (deleted_at IS NULL) THEN (email IS NOT NULL)
    ELSE ((email IS NULL) AND (password_hash IS NULL) AND (name = ''::text) AND ((metadata)::text = '{}'::text) AND (suspension_reason IS NULL) AND (role = 'user'::text) AND (locale IS NULL))
END),
    CONSTRAINT users_email_normalised CHECK (((email = lower((email COLLATE "C"))) AND ((length(email) >= 3) AND (length(email) <= 254)))),
    CONSTRAINT users_locale_form CHECK (((locale ~ '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$'::text) AND (length(locale) <= 35))),
    CONSTRAINT users_name_length CHECK ((length(name) <= 200)),
    CONSTRAINT users_role_known CHECK ((role = ANY (ARRAY['user'::text, 'admin'::text]))),
    CONSTRAINT users_status_known CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text]))),
    CONSTRAINT users_suspension_reason_length CHECK ((length(suspension_reason) <= 500))
);

ALTER TABLE ONLY public.river_job ALTER COLUMN id SET DEFAULT nextval('public.river_job_id_seq'::regclass);

ALTER TABLE ONLY public.river_notification ALTER COLUMN id SET DEFAULT nextval('public.river_notification_id_seq'::regclass);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.audit_event_clients
    ADD CONSTRAINT audit_event_clients_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY public.audit_events
    ADD CONSTRAINT audit_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.credit_accounts
    ADD CONSTRAINT credit_accounts_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY public.credit_grants
    ADD CONSTRAINT credit_grants_pkey PRIMARY KEY (user_id, id);

ALTER TABLE ONLY public.credit_grants
    ADD CONSTRAINT credit_grants_sequence_key UNIQUE (user_id, sequence, part);

ALTER TABLE ONLY public.credit_hold_events
    ADD CONSTRAINT credit_hold_events_pkey PRIMARY KEY (user_id, number);

ALTER TABLE ONLY public.credit_hold_notes
    ADD CONSTRAINT credit_hold_notes_pkey PRIMARY KEY (user_id, hold_id);

ALTER TABLE ONLY public.credit_holds
    ADD CONSTRAINT credit_holds_pkey PRIMARY KEY (user_id, id);

ALTER TABLE ONLY public.credit_transaction_notes
    ADD CONSTRAINT credit_transaction_notes_pkey PRIMARY KEY (user_id, sequence);

ALTER TABLE ONLY public.credit_transactions
    ADD CONSTRAINT credit_transactions_pkey PRIMARY KEY (user_id, sequence);

ALTER TABLE public.credit_transactions
    ADD CONSTRAINT credit_transactions_transfer_has_id CHECK (((transfer_id IS NOT NULL) = (type = ANY (ARRAY['transfer_in'::text, 'transfer_out'::text])))) NOT VALID;

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (caller_id, key);

ALTER TABLE ONLY public.ledger_checkpoint_heads
    ADD CONSTRAINT ledger_checkpoint_heads_pkey PRIMARY KEY (user_id, checkpoint);

ALTER TABLE ONLY public.ledger_checkpoints
    ADD CONSTRAINT ledger_checkpoints_pkey PRIMARY KEY (number);

ALTER TABLE ONLY public.one_time_tokens
    ADD CONSTRAINT one_time_tokens_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.one_time_tokens
    ADD CONSTRAINT one_time_tokens_token_hash_key UNIQUE (token_hash);

ALTER TABLE ONLY public.one_time_tokens
    ADD CONSTRAINT one_time_tokens_user_id_purpose_key UNIQUE (user_id, purpose);

ALTER TABLE ONLY public.rate_limits
    ADD CONSTRAINT rate_limits_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY public.river_job
    ADD CONSTRAINT river_job_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.river_leader
    ADD CONSTRAINT river_leader_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.river_migration
    ADD CONSTRAINT river_migration_pkey1 PRIMARY KEY (line, version);

ALTER TABLE ONLY public.river_notification
    ADD CONSTRAINT river_notification_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.river_queue
    ADD CONSTRAINT river_queue_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.signing_keys
    ADD CONSTRAINT signing_keys_pkey PRIMARY KEY (kid);

ALTER TABLE ONLY public.user_devices
    ADD CONSTRAINT user_devices_pkey PRIMARY KEY (user_id, device);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_email_key UNIQUE (email);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

CREATE INDEX api_keys_created_by_idx ON public.api_keys USING btree (created_by);

CREATE INDEX audit_events_actor_id_idx ON public.audit_events USING btree (actor_id, id) WHERE (actor_id IS NOT NULL);

CREATE INDEX audit_events_target_id_idx ON public.audit_events USING btree (target_id, id) WHERE (target_id IS NOT NULL);

CREATE INDEX audit_events_type_idx ON public.audit_events USING btree (type, id);

CREATE INDEX credit_grants_burn_idx ON public.credit_grants USING btree (open_user_id, priority, expires_at, sequence, part) WHERE (open_user_id IS NOT NULL);

CREATE INDEX credit_grants_due_idx ON public.credit_grants USING btree (expires_at) WHERE (open AND (expires_at IS NOT NULL));

CREATE INDEX credit_grants_expiry_idx ON public.credit_grants USING btree (user_id, expires_at, sequence) WHERE (open AND (expires_at IS NOT NULL));

CREATE INDEX credit_grants_id_idx ON public.credit_grants USING btree (id);

CREATE INDEX credit_hold_events_hold_id_idx ON public.credit_hold_events USING btree (user_id, hold_id, number);

CREATE INDEX credit_holds_all_due_idx ON public.credit_holds USING btree (expires_at) WHERE (status = 'active'::text);

CREATE INDEX credit_holds_due_idx ON public.credit_holds USING btree (user_id, expires_at) WHERE (status = 'active'::text);

CREATE INDEX credit_holds_id_idx ON public.credit_holds USING btree (id);

CREATE INDEX credit_transactions_all_reference_idx ON public.credit_transactions USING btree (reference, id) WHERE (reference IS NOT NULL);

CREATE INDEX credit_transactions_all_type_idx ON public.credit_transactions USING btree (type, id) WHERE (type <> ALL (ARRAY['debit'::text, 'capture'::text]));

CREATE UNIQUE INDEX credit_transactions_id_key ON public.credit_transactions USING btree (id);

CREATE INDEX credit_transactions_reference_idx ON public.credit_transactions USING btree (user_id, reference, sequence) WHERE (reference IS NOT NULL);

CREATE INDEX credit_transactions_reverses_idx ON public.credit_transactions USING btree (user_id, reverses_id) WHERE (reverses_id IS NOT NULL);

CREATE INDEX credit_transactions_transfer_idx ON public.credit_transactions USING btree (transfer_id) WHERE (transfer_id IS NOT NULL);

CREATE INDEX credit_transactions_type_idx ON public.credit_transactions USING btree (user_id, type, sequence) WHERE (type <> ALL (ARRAY['debit'::text, 'capture'::text]));

CREATE INDEX idempotency_keys_refused_idx ON public.idempotency_keys USING btree (created_at) WHERE (body IS NOT NULL);

CREATE INDEX one_time_tokens_expires_at_idx ON public.one_time_tokens USING btree (expires_at);

CREATE UNIQUE INDEX refresh_tokens_newest_key ON public.refresh_tokens USING btree (session_id) WHERE (rotated_at IS NULL);

CREATE INDEX refresh_tokens_session_id_idx ON public.refresh_tokens USING btree (session_id);

CREATE INDEX river_job_args_index ON public.river_job USING gin (args);

CREATE INDEX river_job_kind ON public.river_job USING btree (kind);

CREATE INDEX river_job_metadata_index ON public.river_job USING gin (metadata);

CREATE INDEX river_job_prioritized_fetching_index ON public.river_job USING btree (state, queue, priority, scheduled_at, id);

CREATE INDEX river_job_state_and_finalized_at_index ON public.river_job USING btree (state, finalized_at) WHERE (finalized_at IS NOT NULL);

CREATE UNIQUE INDEX river_job_unique_idx ON public.river_job USING btree (unique_key) WHERE ((unique_key IS NOT NULL) AND (unique_states IS NOT NULL) AND public.river_job_state_in_bitmask(unique_states, state));

CREATE INDEX river_notification_created_at_idx ON public.river_notification USING btree (created_at);

CREATE INDEX river_notification_topic_id_idx ON public.river_notification USING btree (topic, id);

CREATE INDEX sessions_over_idx ON public.sessions USING btree (COALESCE(ended_at, expires_at));

CREATE INDEX sessions_user_id_idx ON public.sessions USING btree (user_id, id);

CREATE UNIQUE INDEX signing_keys_active_key ON public.signing_keys USING btree (algorithm) WHERE (state = 'active'::text);

CREATE UNIQUE INDEX signing_keys_next_key ON public.signing_keys USING btree (algorithm) WHERE (state = 'next'::text);

CREATE INDEX users_admin_idx ON public.users USING btree (id) WHERE (role = 'admin'::text);

CREATE INDEX users_search_idx ON public.users USING gin ((((COALESCE(email, ''::text) || ' '::text) || lower(name))) public.gin_trgm_ops);

CREATE INDEX users_suspended_idx ON public.users USING btree (id) WHERE (status = 'suspended'::text);

CREATE TRIGGER audit_events_immutable BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit_events FOR EACH STATEMENT EXECUTE FUNCTION public.audit_events_are_immutable();

CREATE TRIGGER credit_hold_events_immutable BEFORE DELETE OR UPDATE OR TRUNCATE ON public.credit_hold_events FOR EACH STATEMENT EXECUTE FUNCTION public.credit_history_is_immutable();

CREATE TRIGGER credit_transactions_immutable BEFORE DELETE OR UPDATE OR TRUNCATE ON public.credit_transactions FOR EACH STATEMENT EXECUTE FUNCTION public.credit_history_is_immutable();

CREATE TRIGGER idempotency_keys_immutable BEFORE DELETE OR UPDATE ON public.idempotency_keys FOR EACH ROW WHEN ((old.body IS NULL)) EXECUTE FUNCTION public.credit_history_is_immutable();

CREATE TRIGGER ledger_checkpoint_heads_immutable BEFORE DELETE OR UPDATE OR TRUNCATE ON public.ledger_checkpoint_heads FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_checkpoints_are_immutable();

CREATE TRIGGER ledger_checkpoints_immutable BEFORE DELETE OR UPDATE OR TRUNCATE ON public.ledger_checkpoints FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_checkpoints_are_immutable();

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.audit_event_clients
    ADD CONSTRAINT audit_event_clients_event_id_fkey FOREIGN KEY (event_id) REFERENCES public.audit_events(id);

ALTER TABLE ONLY public.credit_accounts
    ADD CONSTRAINT credit_accounts_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.credit_grants
    ADD CONSTRAINT credit_grants_user_id_sequence_fkey FOREIGN KEY (user_id, sequence) REFERENCES public.credit_transactions(user_id, sequence);

ALTER TABLE ONLY public.credit_hold_events
    ADD CONSTRAINT credit_hold_events_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.credit_accounts(user_id);

ALTER TABLE ONLY public.credit_hold_notes
    ADD CONSTRAINT credit_hold_notes_user_id_hold_id_fkey FOREIGN KEY (user_id, hold_id) REFERENCES public.credit_holds(user_id, id);

ALTER TABLE ONLY public.credit_holds
    ADD CONSTRAINT credit_holds_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.credit_accounts(user_id);

ALTER TABLE ONLY public.credit_transaction_notes
    ADD CONSTRAINT credit_transaction_notes_user_id_sequence_fkey FOREIGN KEY (user_id, sequence) REFERENCES public.credit_transactions(user_id, sequence);

ALTER TABLE ONLY public.ledger_checkpoint_heads
    ADD CONSTRAINT ledger_checkpoint_heads_checkpoint_fkey FOREIGN KEY (checkpoint) REFERENCES public.ledger_checkpoints(number);

ALTER TABLE ONLY public.one_time_tokens
    ADD CONSTRAINT one_time_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.user_devices
    ADD CONSTRAINT user_devices_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

GRANT SELECT,INSERT,UPDATE ON TABLE public.api_keys TO authservice_runtime;

GRANT SELECT,INSERT,DELETE ON TABLE public.audit_event_clients TO authservice_runtime;

GRANT SELECT,INSERT ON TABLE public.audit_events TO authservice_runtime;

GRANT SELECT,INSERT,UPDATE ON TABLE public.credit_accounts TO authservice_runtime;

GRANT SELECT,INSERT,UPDATE ON TABLE public.credit_grants TO authservice_runtime;

GRANT SELECT,INSERT ON TABLE public.credit_hold_events TO authservice_runtime;

GRANT SELECT,INSERT,DELETE ON TABLE public.credit_hold_notes TO authservice_runtime;

GRANT SELECT,INSERT,UPDATE ON TABLE public.credit_holds TO authservice_runtime;

GRANT SELECT,INSERT,DELETE ON TABLE public.credit_transaction_notes TO authservice_runtime;

GRANT SELECT,INSERT ON TABLE public.credit_transactions TO authservice_runtime;

GRANT SELECT,INSERT,DELETE ON TABLE public.idempotency_keys TO authservice_runtime;

GRANT SELECT,INSERT ON TABLE public.ledger_checkpoint_heads TO authservice_runtime;

GRANT SELECT,INSERT ON TABLE public.ledger_checkpoints TO authservice_runtime;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.one_time_tokens TO authservice_runtime;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.rate_limits TO authservice_runtime;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.refresh_tokens TO authservice_runtime;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.river_job TO authservice_runtime;

GRANT USAGE ON SEQUENCE public.river_job_id_seq TO authservice_runtime;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.river_leader TO authservice_runtime;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.river_queue TO authservice_runtime;

GRANT SELECT ON TABLE public.schema_migrations TO authservice_runtime;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.sessions TO authservice_runtime;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.signing_keys TO authservice_runtime;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.user_devices TO authservice_runtime;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.users TO authservice_runtime;
