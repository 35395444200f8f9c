-- The least that moving credits costs: one call that takes the amount if the
-- account has it, and writes down that it did. Tables and indexes of its own,
-- with room on each page for updates, as anybody would make them.
DROP SCHEMA IF EXISTS authbench CASCADE;
CREATE SCHEMA authbench;

CREATE TABLE authbench.accounts (
    id       bigint PRIMARY KEY,
    balance  bigint NOT NULL,
    held     bigint NOT NULL DEFAULT 0,
    sequence bigint NOT NULL DEFAULT 0,
    CHECK (held BETWEEN 0 AND balance)
) WITH (fillfactor = 80);

CREATE TABLE authbench.transactions (
    account_id    bigint NOT NULL,
    sequence      bigint NOT NULL,
    amount        bigint NOT NULL,
    balance_after bigint NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, sequence)
);

CREATE TABLE authbench.holds (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL,
    amount     bigint NOT NULL,
    captured   bigint,
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);

CREATE FUNCTION authbench.debit(account bigint, debited bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    after bigint;
    number bigint;
BEGIN
    UPDATE authbench.accounts SET balance = balance - debited, sequence = sequence + 1
    WHERE id = account AND balance - held >= debited
    RETURNING balance, sequence INTO after, number;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'insufficient credits';
    END IF;
    INSERT INTO authbench.transactions (account_id, sequence, amount, balance_after) VALUES (account, number, -debited, after);
    RETURN after;
END
$$;

CREATE FUNCTION authbench.hold(account bigint, wanted bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    made bigint;
BEGIN
    UPDATE authbench.accounts SET held = held + wanted WHERE id = account AND balance - held >= wanted;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'insufficient credits';
    END IF;
    INSERT INTO authbench.holds (account_id, amount) VALUES (account, wanted) RETURNING id INTO made;
    RETURN made;
END
$$;

CREATE FUNCTION authbench.capture(account bigint, hold bigint, debited bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    after bigint;
    number bigint;
    pinned bigint;
BEGIN
    UPDATE authbench.holds SET captured = debited WHERE id = hold AND account_id = account AND captured IS NULL AND amount >= debited
    RETURNING amount INTO pinned;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'not active';
    END IF;
    UPDATE authbench.accounts SET balance = balance - debited, held = held - pinned, sequence = sequence + 1 WHERE id = account
    RETURNING balance, sequence INTO after, number;
    INSERT INTO authbench.transactions (account_id, sequence, amount, balance_after) VALUES (account, number, -debited, after);
    RETURN after;
END
$$;
