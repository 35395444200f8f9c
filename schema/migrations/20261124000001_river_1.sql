-- migrate:up

-- The tables of the job queue River, version 1 of its schema (riverqueue.com,
-- MPL-2.0). Each version is a file of its own: a value that is added to an enum
-- can be used only after its transaction. River's record of them is kept, so that
-- its own tools know this database; internal/jobs tests that nothing is missing.
CREATE TABLE river_migration (
    id         bigserial PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    version    bigint NOT NULL,
    CONSTRAINT version CHECK (version >= 1)
);

CREATE UNIQUE INDEX ON river_migration (version);

INSERT INTO river_migration (version) VALUES (1);

-- migrate:down

DROP TABLE river_migration;
