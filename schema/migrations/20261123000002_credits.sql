-- migrate:up

-- One row a user: the row that a posting locks. It is also the head of the
-- account's chain of transactions.
CREATE TABLE credit_accounts (
    user_id    uuid PRIMARY KEY REFERENCES users (id),
    balance    bigint NOT NULL DEFAULT 0,
    held       bigint NOT NULL DEFAULT 0,
    -- The number and the hash of the newest transaction; 0 and zeros before the first.
    sequence   bigint NOT NULL DEFAULT 0,
    head_hash  bytea NOT NULL DEFAULT '\x0000000000000000000000000000000000000000000000000000000000000000',
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    -- 2^53 - 1, the largest integer that every client language holds exactly.
    CONSTRAINT credit_accounts_balance_range CHECK (balance BETWEEN 0 AND 9007199254740991),
    CONSTRAINT credit_accounts_held_range CHECK (held BETWEEN 0 AND balance),
    CONSTRAINT credit_accounts_sequence_range CHECK (sequence >= 0),
    CONSTRAINT credit_accounts_head_hash_length CHECK (octet_length(head_hash) = 32)
) WITH (fillfactor = 80);

-- What happened, for ever: rows are inserted and never changed.
CREATE TABLE credit_transactions (
    user_id         uuid NOT NULL REFERENCES credit_accounts (user_id),
    sequence        bigint NOT NULL,
    id              uuid NOT NULL,
    type            text NOT NULL,
    amount          bigint NOT NULL,
    balance_after   bigint NOT NULL,
    reference       text,
    -- SHA-256 of the row in credit_transaction_notes: the chain proves the text without holding it.
    note_digest     bytea,
    hold_id         uuid,
    reverses_id     uuid,
    grant_id        uuid,
    -- [{"grant_id": …, "amount": …}] in the order taken.
    burned          jsonb NOT NULL DEFAULT '[]',
    actor_type      text NOT NULL,
    actor_id        uuid,
    idempotency_key text,
    hash            bytea NOT NULL,
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (user_id, sequence),
    CONSTRAINT credit_transactions_sequence_positive CHECK (sequence > 0),
    CONSTRAINT credit_transactions_amount_not_zero CHECK (amount <> 0),
    CONSTRAINT credit_transactions_balance_after_range CHECK (balance_after BETWEEN 0 AND 9007199254740991),
    CONSTRAINT credit_transactions_type_known CHECK (
        type IN ('grant', 'debit', 'capture', 'reversal', 'transfer_in', 'transfer_out', 'expiry', 'revocation')
    ),
    CONSTRAINT credit_transactions_amount_sign CHECK (
        CASE
            WHEN type IN ('grant', 'transfer_in') THEN amount > 0
            WHEN type IN ('debit', 'capture', 'transfer_out', 'expiry', 'revocation') THEN amount < 0
            ELSE true
        END
    ),
    CONSTRAINT credit_transactions_actor_known CHECK (
        actor_type IN ('user', 'api_key', 'system') AND (actor_type = 'system') = (actor_id IS NULL)
    ),
    CONSTRAINT credit_transactions_hash_length CHECK (octet_length(hash) = 32 AND octet_length(note_digest) = 32)
);

CREATE UNIQUE INDEX credit_transactions_id_key ON credit_transactions (id);
CREATE INDEX credit_transactions_reference_idx ON credit_transactions (user_id, reference, sequence) WHERE reference IS NOT NULL;

-- What credits came in, and what is left of each lot. Whether a grant is active
-- follows from its columns: revoked_at, expired, remaining and expires_at.
CREATE TABLE credit_grants (
    user_id    uuid NOT NULL,
    id         uuid NOT NULL,
    -- The transaction that made it.
    sequence   bigint NOT NULL,
    amount     bigint NOT NULL,
    remaining  bigint NOT NULL,
    -- The part of remaining that holds pin.
    held       bigint NOT NULL DEFAULT 0,
    -- What expiry took in the end.
    expired    bigint NOT NULL DEFAULT 0,
    -- Lower burns first.
    priority   smallint NOT NULL,
    -- Null for never.
    expires_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL,
    -- Whether there is something to burn. A column of its own, so that a burn
    -- which leaves something changes no index (a heap-only update).
    open       boolean NOT NULL GENERATED ALWAYS AS (remaining > held) STORED,
    PRIMARY KEY (user_id, id),
    CONSTRAINT credit_grants_sequence_key UNIQUE (user_id, sequence),
    FOREIGN KEY (user_id, sequence) REFERENCES credit_transactions (user_id, sequence),
    CONSTRAINT credit_grants_amount_positive CHECK (amount > 0),
    CONSTRAINT credit_grants_remaining_range CHECK (remaining BETWEEN 0 AND amount),
    CONSTRAINT credit_grants_held_range CHECK (held BETWEEN 0 AND remaining),
    CONSTRAINT credit_grants_expired_range CHECK (expired BETWEEN 0 AND amount - remaining),
    CONSTRAINT credit_grants_priority_range CHECK (priority BETWEEN 0 AND 100)
) WITH (fillfactor = 80);

-- The order in which grants burn; those that never expire sort last.
CREATE INDEX credit_grants_burn_idx ON credit_grants (user_id, priority, expires_at, sequence) WHERE open;
-- What is due to expire.
CREATE INDEX credit_grants_expiry_idx ON credit_grants (user_id, expires_at, sequence) WHERE open AND expires_at IS NOT NULL;

-- The free text of a transaction, apart from it so that a person's text can be
-- erased without touching the chain. The salt keeps the digest from being guessed.
CREATE TABLE credit_transaction_notes (
    user_id     uuid NOT NULL,
    sequence    bigint NOT NULL,
    salt        bytea NOT NULL,
    description text,
    metadata    json,
    PRIMARY KEY (user_id, sequence),
    FOREIGN KEY (user_id, sequence) REFERENCES credit_transactions (user_id, sequence),
    CONSTRAINT credit_transaction_notes_salt_length CHECK (octet_length(salt) = 16),
    CONSTRAINT credit_transaction_notes_not_empty CHECK (description IS NOT NULL OR metadata IS NOT NULL)
);

-- What became of each request that moves credits. An applied one names its
-- transaction, from which the answer is made again; any other keeps its answer.
CREATE TABLE idempotency_keys (
    caller_id   uuid NOT NULL,
    key         text NOT NULL,
    -- SHA-256 over the request: method, path and canonical JSON.
    fingerprint bytea NOT NULL,
    user_id     uuid,
    sequence    bigint,
    status      smallint NOT NULL,
    body        bytea,
    created_at  timestamptz NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (caller_id, key),
    FOREIGN KEY (user_id, sequence) REFERENCES credit_transactions (user_id, sequence),
    CONSTRAINT idempotency_keys_key_length CHECK (length(key) BETWEEN 1 AND 255),
    CONSTRAINT idempotency_keys_fingerprint_length CHECK (octet_length(fingerprint) = 32),
    CONSTRAINT idempotency_keys_transaction_or_body CHECK (
        (user_id IS NULL) = (sequence IS NULL) AND (sequence IS NULL) <> (body IS NULL)
    )
);

-- The last wall, also against the tables' owner.
CREATE FUNCTION credit_history_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % refused: applied transactions are never changed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TRIGGER credit_transactions_immutable
    BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION credit_history_is_immutable();

-- The key of an applied transaction is part of the history.
CREATE TRIGGER idempotency_keys_immutable
    BEFORE UPDATE OR DELETE ON idempotency_keys
    FOR EACH ROW WHEN (OLD.sequence IS NOT NULL) EXECUTE FUNCTION credit_history_is_immutable();

GRANT SELECT, INSERT, UPDATE ON credit_accounts, credit_grants TO authservice_runtime;
GRANT SELECT, INSERT ON credit_transactions TO authservice_runtime;
-- Erasing a person's text and forgetting old refusals are part of the service.
GRANT SELECT, INSERT, DELETE ON credit_transaction_notes, idempotency_keys TO authservice_runtime;

-- migrate:down

DROP TABLE idempotency_keys, credit_transaction_notes, credit_grants, credit_transactions, credit_accounts;
DROP FUNCTION credit_history_is_immutable;
