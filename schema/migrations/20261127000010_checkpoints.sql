-- migrate:up

-- The state of all accounts at a moment, signed: what a copy kept elsewhere is
-- compared with. Rows are inserted and never changed.
CREATE TABLE ledger_checkpoints (
    -- 1, 2, 3 …
    number       bigint PRIMARY KEY,
    created_at   timestamptz NOT NULL,
    -- How many there were of each.
    accounts     bigint NOT NULL,
    transactions bigint NOT NULL,
    hold_events  bigint NOT NULL,
    -- Of the tree over the heads of all accounts.
    root         bytea NOT NULL,
    -- The root before it; zeros in the first.
    previous     bytea NOT NULL,
    -- Ed25519, over all of the above.
    public_key   bytea NOT NULL,
    signature    bytea NOT NULL,
    CONSTRAINT ledger_checkpoints_number_positive CHECK (number > 0),
    CONSTRAINT ledger_checkpoints_counts_range CHECK (accounts >= 0 AND transactions >= 0 AND hold_events >= 0),
    CONSTRAINT ledger_checkpoints_lengths CHECK (
        octet_length(root) = 32 AND octet_length(previous) = 32 AND octet_length(public_key) = 32 AND octet_length(signature) = 64
    )
);

-- The leaves of the trees: the heads of accounts that had changed since the
-- checkpoint before. Those of the others stand with an earlier one.
CREATE TABLE ledger_checkpoint_heads (
    -- No foreign key: it would lock the accounts, against the postings.
    user_id     uuid NOT NULL,
    checkpoint  bigint NOT NULL REFERENCES ledger_checkpoints (number),
    sequence    bigint NOT NULL,
    hold_events bigint NOT NULL,
    head_hash   bytea NOT NULL,
    PRIMARY KEY (user_id, checkpoint),
    CONSTRAINT ledger_checkpoint_heads_counts_range CHECK (sequence >= 0 AND hold_events >= 0),
    CONSTRAINT ledger_checkpoint_heads_hash_length CHECK (octet_length(head_hash) = 32)
);

-- The last wall, also against the tables' owner.
CREATE FUNCTION ledger_checkpoints_are_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % refused: checkpoints are never changed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TRIGGER ledger_checkpoints_immutable
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_checkpoints_are_immutable();
CREATE TRIGGER ledger_checkpoint_heads_immutable
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_checkpoint_heads
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_checkpoints_are_immutable();

GRANT SELECT, INSERT ON ledger_checkpoints, ledger_checkpoint_heads TO authservice_runtime;

-- The halves of a transfer find each other. Nothing else pays for it.
CREATE INDEX credit_transactions_transfer_idx ON credit_transactions (transfer_id) WHERE transfer_id IS NOT NULL;

-- migrate:down

DROP INDEX credit_transactions_transfer_idx;
DROP TABLE ledger_checkpoint_heads, ledger_checkpoints;
DROP FUNCTION ledger_checkpoints_are_immutable;
