-- migrate:up

-- One row a limited thing, such as the logins of one address. Unlogged: after a
-- crash of PostgreSQL every limit starts afresh, and no attempt waits for a disk.
CREATE UNLOGGED TABLE rate_limits (
    -- A keyed hash: the table names nobody.
    key          bytea PRIMARY KEY,
    attempted_at timestamptz NOT NULL,
    -- The theoretical arrival time of GCRA: when the allowance will be full again.
    tat          timestamptz NOT NULL,
    -- The time in which a used-up allowance comes back.
    span         interval NOT NULL,
    -- Whether the newest attempt was within the limit.
    allowed      boolean NOT NULL
) WITH (fillfactor = 70);

GRANT SELECT, INSERT, UPDATE, DELETE ON rate_limits TO authservice_runtime;

-- migrate:down

DROP TABLE rate_limits;
