-- name: UserDeviceSeen :one
-- Notes a login on a device, and tells whether the user has others but did not
-- have this one: the last part reads what was there before. To be called under
-- UserLoggedIn, so that of two logins at once only one is the first. Whoever
-- invents a device for every login makes the oldest ones go.
WITH seen AS (
    INSERT INTO user_devices (user_id, device, first_seen_at, last_seen_at)
    VALUES (@user_id, @device, @now, @now)
    ON CONFLICT (user_id, device) DO UPDATE SET last_seen_at = excluded.last_seen_at
), forgotten AS (
    DELETE FROM user_devices
    WHERE user_id = @user_id AND device IN (
        SELECT d.device FROM user_devices d
        WHERE d.user_id = @user_id AND d.device <> @device
        ORDER BY d.last_seen_at DESC, d.device
        OFFSET @others::int
    )
)
SELECT (count(*) > 0 AND NOT coalesce(bool_or(known.device = @device), false))::boolean AS is_new
FROM user_devices AS known
WHERE known.user_id = @user_id;

-- name: UserDeviceList :many
-- Everything held about a user's devices.
SELECT * FROM user_devices WHERE user_id = @user_id ORDER BY last_seen_at DESC, device;

-- name: UserDeviceDeleteOfUser :exec
DELETE FROM user_devices WHERE user_id = @user_id;
