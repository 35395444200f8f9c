-- name: SigningKeyInsertActive :execrows
-- Of replicas that start together one inserts, the others get 0 rows and then
-- read its key: signing_keys_active_key allows one active key an algorithm.
INSERT INTO signing_keys (kid, algorithm, state, private_key_enc, created_at, activated_at)
VALUES (@kid, @algorithm, 'active', @private_key_enc, @now, @now)
ON CONFLICT DO NOTHING;

-- name: SigningKeyList :many
SELECT * FROM signing_keys ORDER BY created_at, kid;

-- name: SigningKeyLock :exec
-- Rotations happen one after the other, on whichever replica.
SELECT pg_advisory_xact_lock(4206031908);

-- name: SigningKeyInsertNext :execrows
-- signing_keys_next_key allows one an algorithm.
INSERT INTO signing_keys (kid, algorithm, state, private_key_enc, created_at)
VALUES (@kid, @algorithm, 'next', @private_key_enc, @now)
ON CONFLICT DO NOTHING;

-- name: SigningKeyRetireActive :many
-- To be called under SigningKeyLock.
UPDATE signing_keys SET state = 'retired', retired_at = @now WHERE algorithm = @algorithm AND state = 'active'
RETURNING kid;

-- name: SigningKeyActivateNext :many
-- To be called under SigningKeyLock, after SigningKeyRetireActive.
UPDATE signing_keys SET state = 'active', activated_at = @now WHERE algorithm = @algorithm AND state = 'next'
RETURNING kid;

-- name: SigningKeyDeleteRetired :many
-- Those whose last token has expired.
DELETE FROM signing_keys WHERE state = 'retired' AND retired_at < @before
RETURNING kid;

-- name: SigningKeyRetireOthers :many
-- To be called under SigningKeyLock: what other algorithms than the configured one left.
UPDATE signing_keys SET state = 'retired', retired_at = @now WHERE algorithm <> @algorithm AND state <> 'retired'
RETURNING kid;

-- name: SigningKeyDeleteAll :many
-- To be called under SigningKeyLock, with another key to follow.
DELETE FROM signing_keys RETURNING kid;
