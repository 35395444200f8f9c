-- name: JobEnd :execrows
-- No row: the job was taken for lost meanwhile, and is another's to do.
UPDATE river_job SET state = 'completed', finalized_at = now()
WHERE id = @id AND state = 'running' AND attempt = @attempt;

-- name: JobCount :many
-- Jobs that are not done, for metrics. Completed jobs, which are by far the most,
-- are left to their own index.
SELECT kind, state::text AS state, count(*) AS jobs, min(scheduled_at)::timestamptz AS oldest
FROM river_job
WHERE state IN ('available', 'running', 'retryable', 'scheduled', 'pending', 'cancelled', 'discarded')
GROUP BY kind, state;
