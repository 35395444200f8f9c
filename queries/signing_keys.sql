-- name: SigningKeyInsertActive :execrows
-- Of replicas that start together one inserts, the others get 0 rows and then
-- read its key: signing_keys_active_key allows one active key an algorithm.
INSERT INTO signing_keys (kid, algorithm, state, private_key_enc, created_at, activated_at)
VALUES (@kid, @algorithm, 'active', @private_key_enc, @now, @now)
ON CONFLICT DO NOTHING;

-- name: SigningKeyList :many
SELECT * FROM signing_keys ORDER BY created_at, kid;
