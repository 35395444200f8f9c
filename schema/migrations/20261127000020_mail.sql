-- migrate:up

ALTER TABLE users
    -- The language in which mails to the user are written (BCP 47); null for the service's own.
    ADD COLUMN locale text,
    ADD CONSTRAINT users_locale_form CHECK (locale ~ '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$' AND length(locale) <= 35),
    DROP CONSTRAINT users_deleted_without_person,
    ADD CONSTRAINT users_deleted_without_person CHECK (
        CASE
            WHEN deleted_at IS NULL THEN email IS NOT NULL
            ELSE email IS NULL AND password_hash IS NULL AND name = '' AND metadata::text = '{}'
                AND suspension_reason IS NULL AND role = 'user' AND locale IS NULL
        END
    );

-- The devices that a user has logged in on, so that a new one is told.
CREATE TABLE user_devices (
    user_id       uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- In words, without versions: an update makes no new device.
    device        text NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at  timestamptz NOT NULL,
    PRIMARY KEY (user_id, device),
    CONSTRAINT user_devices_device_length CHECK (length(device) <= 120)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON user_devices TO authservice_runtime;

-- migrate:down

DROP TABLE user_devices;
ALTER TABLE users
    DROP CONSTRAINT users_deleted_without_person,
    DROP COLUMN locale,
    ADD CONSTRAINT users_deleted_without_person CHECK (
        CASE
            WHEN deleted_at IS NULL THEN email IS NOT NULL
            ELSE email IS NULL AND password_hash IS NULL AND name = '' AND metadata::text = '{}'
                AND suspension_reason IS NULL AND role = 'user'
        END
    );
