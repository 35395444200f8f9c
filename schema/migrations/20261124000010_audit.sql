-- migrate:up

-- Who did what to whom: rows are inserted and never changed. They hold no
-- personal data but ids, so that they can outlive the people they speak of.
CREATE TABLE audit_events (
    -- UUIDv7 of created_at: the order of ids is the order of time.
    id          uuid PRIMARY KEY,
    type        text NOT NULL,
    actor_type  text NOT NULL,
    actor_id    uuid,
    target_type text,
    target_id   uuid,
    request_id  text,
    -- What else there is to say, such as a role before and after.
    details     json NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL,
    CONSTRAINT audit_events_actor_known CHECK (
        actor_type IN ('user', 'api_key', 'system', 'anonymous')
        AND (actor_type IN ('user', 'api_key')) = (actor_id IS NOT NULL)
    ),
    CONSTRAINT audit_events_target_known CHECK (
        CASE WHEN target_type IS NULL THEN target_id IS NULL ELSE target_type IN ('user', 'api_key', 'signing_key') END
    )
);

CREATE INDEX audit_events_actor_id_idx ON audit_events (actor_id, id) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_events_target_id_idx ON audit_events (target_id, id) WHERE target_id IS NOT NULL;
CREATE INDEX audit_events_type_idx ON audit_events (type, id);

-- Where an event came from. Addresses are personal data, and so stand apart
-- from the events: they are erased with the person.
CREATE TABLE audit_event_clients (
    event_id   uuid PRIMARY KEY REFERENCES audit_events (id),
    ip         inet,
    user_agent text NOT NULL DEFAULT ''
);

-- The last wall, also against the tables' owner.
CREATE FUNCTION audit_events_are_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % refused: what happened is never changed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TRIGGER audit_events_immutable
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION audit_events_are_immutable();

GRANT SELECT, INSERT ON audit_events TO authservice_runtime;
GRANT SELECT, INSERT, DELETE ON audit_event_clients TO authservice_runtime;

-- migrate:down

DROP TABLE audit_event_clients, audit_events;
DROP FUNCTION audit_events_are_immutable;
