-- migrate:up

-- Records of an account are its transactions and the events of its holds. Both
-- are links of one chain, in the order of their times, which strictly increase;
-- the event of a capture has the time of its transaction and follows it.
ALTER TABLE credit_accounts
    -- The number of the newest event of a hold; 0 before the first.
    ADD COLUMN hold_events bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT credit_accounts_hold_events_range CHECK (hold_events >= 0);

-- The same in both halves of a transfer.
ALTER TABLE credit_transactions
    ADD COLUMN transfer_id uuid,
    ADD CONSTRAINT credit_transactions_transfer_has_id CHECK (
        (transfer_id IS NOT NULL) = (type IN ('transfer_in', 'transfer_out'))
    ) NOT VALID;

-- Checked with every debit, these two cost as much as the debit itself. What they
-- promise is kept by the one package that writes these tables, under the lock of
-- the account, and is proven by authservice ledger verify.
ALTER TABLE credit_transactions DROP CONSTRAINT credit_transactions_user_id_fkey;
ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_user_id_sequence_fkey;

-- What was given back of a transaction.
CREATE INDEX credit_transactions_reverses_idx ON credit_transactions (user_id, reverses_id) WHERE reverses_id IS NOT NULL;
-- Lists of all accounts, and those of one by a rarer type. Debits and captures,
-- which are most, cost no index: a list of them finds them everywhere.
CREATE INDEX credit_transactions_all_reference_idx ON credit_transactions (reference, id) WHERE reference IS NOT NULL;
CREATE INDEX credit_transactions_all_type_idx ON credit_transactions (type, id) WHERE type NOT IN ('debit', 'capture');
CREATE INDEX credit_transactions_type_idx ON credit_transactions (user_id, type, sequence) WHERE type NOT IN ('debit', 'capture');

-- A transfer may make several grants at once: credits keep their terms.
ALTER TABLE credit_grants
    -- Counts the grants that one transaction made.
    ADD COLUMN part smallint NOT NULL DEFAULT 0,
    -- Whose it is, while it is open. The index on it is the only one that finds
    -- the open grants of a user; with user_id, the planner takes any that begins
    -- with it, reads all grants, and sorts them.
    ADD COLUMN open_user_id uuid GENERATED ALWAYS AS (CASE WHEN remaining > held THEN user_id END) STORED,
    DROP CONSTRAINT credit_grants_sequence_key,
    ADD CONSTRAINT credit_grants_sequence_key UNIQUE (user_id, sequence, part),
    ADD CONSTRAINT credit_grants_part_range CHECK (part >= 0);
DROP INDEX credit_grants_burn_idx;
CREATE INDEX credit_grants_burn_idx ON credit_grants (open_user_id, priority, expires_at, sequence, part) WHERE open_user_id IS NOT NULL;
-- Whose credits are due, for the periodic job.
CREATE INDEX credit_grants_due_idx ON credit_grants (expires_at) WHERE open AND expires_at IS NOT NULL;
-- A grant by its id alone.
CREATE INDEX credit_grants_id_idx ON credit_grants (id);

-- Credits that are set apart, as they are now.
CREATE TABLE credit_holds (
    user_id        uuid NOT NULL REFERENCES credit_accounts (user_id),
    id             uuid NOT NULL,
    -- What was asked for, with increments, and what of it was captured.
    amount         bigint NOT NULL,
    captured       bigint NOT NULL DEFAULT 0,
    status         text NOT NULL DEFAULT 'active',
    expires_at     timestamptz NOT NULL,
    reference      text,
    -- [{"grant_id": …, "amount": …}]: what it still pins, in the order in which it will be taken.
    pinned         jsonb NOT NULL,
    -- The newest capture.
    transaction_id uuid,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    PRIMARY KEY (user_id, id),
    CONSTRAINT credit_holds_amount_range CHECK (amount BETWEEN 1 AND 9007199254740991),
    CONSTRAINT credit_holds_captured_range CHECK (captured BETWEEN 0 AND amount),
    CONSTRAINT credit_holds_status_known CHECK (status IN ('active', 'captured', 'voided', 'expired')),
    CONSTRAINT credit_holds_active_pins CHECK ((status = 'active') = (pinned <> '[]'))
) WITH (fillfactor = 80);

-- A hold by its id alone, those that are due, and whose they are.
CREATE INDEX credit_holds_id_idx ON credit_holds (id);
CREATE INDEX credit_holds_due_idx ON credit_holds (user_id, expires_at) WHERE status = 'active';
CREATE INDEX credit_holds_all_due_idx ON credit_holds (expires_at) WHERE status = 'active';

-- What happened to holds, for ever. Each row says what the hold was afterwards.
CREATE TABLE credit_hold_events (
    user_id         uuid NOT NULL REFERENCES credit_accounts (user_id),
    number          bigint NOT NULL,
    hold_id         uuid NOT NULL,
    type            text NOT NULL,
    amount          bigint NOT NULL,
    captured        bigint NOT NULL,
    status          text NOT NULL,
    expires_at      timestamptz NOT NULL,
    reference       text,
    -- SHA-256 of the row in credit_hold_notes.
    note_digest     bytea,
    transaction_id  uuid,
    -- [{"grant_id": …, "amount": …}]: what the event pinned, or, negative, let go of or captured.
    pinned          jsonb NOT NULL,
    -- What all holds of the account held afterwards.
    held_after      bigint NOT NULL,
    actor_type      text NOT NULL,
    actor_id        uuid,
    idempotency_key text,
    hash            bytea NOT NULL,
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (user_id, number),
    CONSTRAINT credit_hold_events_number_positive CHECK (number > 0),
    CONSTRAINT credit_hold_events_type_known CHECK (type IN ('placed', 'incremented', 'captured', 'voided', 'expired')),
    CONSTRAINT credit_hold_events_status_known CHECK (status IN ('active', 'captured', 'voided', 'expired')),
    CONSTRAINT credit_hold_events_held_after_range CHECK (held_after >= 0),
    CONSTRAINT credit_hold_events_actor_known CHECK (
        actor_type IN ('user', 'api_key', 'system') AND (actor_type = 'system') = (actor_id IS NULL)
    ),
    CONSTRAINT credit_hold_events_hash_length CHECK (octet_length(hash) = 32 AND octet_length(note_digest) = 32)
);

CREATE INDEX credit_hold_events_hold_id_idx ON credit_hold_events (user_id, hold_id, number);

-- The free text of a hold, apart from it so that it can be erased.
CREATE TABLE credit_hold_notes (
    user_id     uuid NOT NULL,
    hold_id     uuid NOT NULL,
    salt        bytea NOT NULL,
    description text,
    metadata    json,
    PRIMARY KEY (user_id, hold_id),
    FOREIGN KEY (user_id, hold_id) REFERENCES credit_holds (user_id, id),
    CONSTRAINT credit_hold_notes_salt_length CHECK (octet_length(salt) = 16),
    CONSTRAINT credit_hold_notes_not_empty CHECK (description IS NOT NULL OR metadata IS NOT NULL)
);

-- What became of a request: a transaction, a hold after an event, several
-- records, or a refusal, whose answer is kept as it was given.
ALTER TABLE idempotency_keys
    ADD COLUMN hold_event bigint,
    -- What a transfer or a batch did, one element an operation: the records
    -- {"records": [{"user_id": …, "sequence": …}]} or the problem {"problem": …}.
    ADD COLUMN parts json,
    DROP CONSTRAINT idempotency_keys_transaction_or_body,
    ADD CONSTRAINT idempotency_keys_one_outcome CHECK (
        num_nonnulls(sequence, hold_event, parts, body) = 1
        AND (user_id IS NOT NULL) = (sequence IS NOT NULL OR hold_event IS NOT NULL)
    );

DROP INDEX idempotency_keys_refused_idx;
CREATE INDEX idempotency_keys_refused_idx ON idempotency_keys (created_at) WHERE body IS NOT NULL;

-- Everything but a refusal is part of the history.
DROP TRIGGER idempotency_keys_immutable ON idempotency_keys;
CREATE TRIGGER idempotency_keys_immutable
    BEFORE UPDATE OR DELETE ON idempotency_keys
    FOR EACH ROW WHEN (OLD.body IS NULL) EXECUTE FUNCTION credit_history_is_immutable();
CREATE TRIGGER credit_hold_events_immutable
    BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_hold_events
    FOR EACH STATEMENT EXECUTE FUNCTION credit_history_is_immutable();

GRANT SELECT, INSERT, UPDATE ON credit_holds TO authservice_runtime;
GRANT SELECT, INSERT ON credit_hold_events TO authservice_runtime;
GRANT SELECT, INSERT, DELETE ON credit_hold_notes TO authservice_runtime;

-- migrate:down

DROP TRIGGER idempotency_keys_immutable ON idempotency_keys;
DROP INDEX idempotency_keys_refused_idx;
-- What only this version can tell becomes a refusal that the older one gives.
ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_one_outcome;
UPDATE idempotency_keys SET user_id = NULL, status = 503, body = '{}' WHERE sequence IS NULL AND body IS NULL;
ALTER TABLE idempotency_keys
    DROP COLUMN parts, DROP COLUMN hold_event,
    ADD CONSTRAINT idempotency_keys_transaction_or_body CHECK (
        (user_id IS NULL) = (sequence IS NULL) AND (sequence IS NULL) <> (body IS NULL)
    );
CREATE INDEX idempotency_keys_refused_idx ON idempotency_keys (created_at) WHERE sequence IS NULL;
CREATE TRIGGER idempotency_keys_immutable
    BEFORE UPDATE OR DELETE ON idempotency_keys
    FOR EACH ROW WHEN (OLD.sequence IS NOT NULL) EXECUTE FUNCTION credit_history_is_immutable();
DROP TABLE credit_hold_notes, credit_hold_events, credit_holds;
DROP INDEX credit_grants_id_idx, credit_grants_due_idx, credit_grants_burn_idx;
CREATE INDEX credit_grants_burn_idx ON credit_grants (user_id, priority, expires_at, sequence) WHERE open;
ALTER TABLE credit_grants
    DROP CONSTRAINT credit_grants_sequence_key,
    DROP COLUMN open_user_id,
    DROP COLUMN part,
    ADD CONSTRAINT credit_grants_sequence_key UNIQUE (user_id, sequence);
DROP INDEX credit_transactions_type_idx, credit_transactions_all_type_idx, credit_transactions_all_reference_idx, credit_transactions_reverses_idx;
ALTER TABLE credit_transactions
    DROP COLUMN transfer_id,
    ADD CONSTRAINT credit_transactions_user_id_fkey FOREIGN KEY (user_id) REFERENCES credit_accounts (user_id);
ALTER TABLE idempotency_keys ADD FOREIGN KEY (user_id, sequence) REFERENCES credit_transactions (user_id, sequence);
ALTER TABLE credit_accounts DROP COLUMN hold_events;
