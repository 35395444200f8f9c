-- What debits are compared with: the rows of the ledger, with its columns,
-- indexes and checks, written by one call of SQL as anybody would write it who
-- has no service for it. The call locks the account, looks for the key, burns
-- grants in their order and writes the transaction down.
DROP SCHEMA IF EXISTS authbench CASCADE;
CREATE SCHEMA authbench;

CREATE TABLE authbench.credit_accounts (LIKE public.credit_accounts INCLUDING ALL) WITH (fillfactor = 80);
CREATE TABLE authbench.credit_grants (LIKE public.credit_grants INCLUDING ALL) WITH (fillfactor = 80);
CREATE TABLE authbench.credit_transactions (LIKE public.credit_transactions INCLUDING ALL);
CREATE TABLE authbench.idempotency_keys (LIKE public.idempotency_keys INCLUDING ALL);
CREATE SEQUENCE authbench.numbers CACHE 100;

-- Numbers as ids, in their order.
CREATE FUNCTION authbench.id(number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN lpad(to_hex(number), 32, '0')::uuid;

CREATE FUNCTION authbench.spend(account bigint, debited bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    caller    CONSTANT uuid := authbench.id(0);
    made      CONSTANT uuid := authbench.id(nextval('authbench.numbers'));
    moment    CONSTANT timestamptz := clock_timestamp();
    a         authbench.credit_accounts;
    lot       record;
    taken     bigint;
    missing   bigint := debited;
    burned    jsonb := '[]';
BEGIN
    SELECT * INTO a FROM authbench.credit_accounts WHERE user_id = authbench.id(account) FOR UPDATE;
    PERFORM FROM authbench.idempotency_keys WHERE caller_id = caller AND key = made::text;
    IF FOUND THEN
        RETURN a.balance;
    END IF;
    FOR lot IN
        SELECT id, remaining - held AS free FROM authbench.credit_grants
        WHERE open_user_id = a.user_id AND (expires_at IS NULL OR expires_at > moment)
        ORDER BY open_user_id, priority, expires_at, sequence, part
    LOOP
        taken := least(missing, lot.free);
        UPDATE authbench.credit_grants SET remaining = remaining - taken WHERE user_id = a.user_id AND id = lot.id;
        burned := burned || jsonb_build_object('grant_id', lot.id, 'amount', taken);
        missing := missing - taken;
        EXIT WHEN missing = 0;
    END LOOP;
    IF missing > 0 THEN
        RAISE EXCEPTION 'insufficient credits';
    END IF;
    UPDATE authbench.credit_accounts
    SET balance = balance - debited, sequence = sequence + 1, head_hash = sha256(head_hash || uuid_send(made)), updated_at = moment
    WHERE user_id = a.user_id
    RETURNING * INTO a;
    INSERT INTO authbench.credit_transactions
        (user_id, sequence, id, type, amount, balance_after, burned, actor_type, actor_id, idempotency_key, hash, created_at)
    VALUES (a.user_id, a.sequence, made, 'debit', -debited, a.balance, burned, 'api_key', caller, made::text, a.head_hash, moment);
    INSERT INTO authbench.idempotency_keys (caller_id, key, fingerprint, user_id, sequence, status, created_at)
    VALUES (caller, made::text, sha256(uuid_send(made)), a.user_id, a.sequence, 201, moment);
    RETURN a.balance;
END
$$;

-- The least that moving credits costs: one call that takes the amount if the
-- account has it, and writes down that it did. Tables and indexes of its own,
-- with room on each page for updates, as anybody would make them.
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

-- Makes accounts with one grant each.
CREATE FUNCTION authbench.fill(accounts bigint, granted bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO authbench.accounts (id, balance) SELECT n, granted FROM generate_series(1, accounts) n;
    INSERT INTO authbench.credit_accounts (user_id, balance, created_at, updated_at)
    SELECT authbench.id(n), granted, now(), now() FROM generate_series(1, accounts) n;
    INSERT INTO authbench.credit_grants (user_id, id, sequence, amount, remaining, priority, created_at)
    SELECT authbench.id(n), authbench.id(n), 1, granted, granted, 50, now() FROM generate_series(1, accounts) n;
    ANALYZE authbench.accounts, authbench.credit_accounts, authbench.credit_grants;
$$;
