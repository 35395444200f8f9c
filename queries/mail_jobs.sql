-- name: MailJobDeleteOfUser :exec
-- Mails to a person who is erased, sent or not. The jobs are River's; a worker
-- that is at one of them finds the user gone.
DELETE FROM river_job WHERE kind = @kind AND args ->> 'user_id' = @user_id::text;
