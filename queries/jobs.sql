-- name: JobEnd :execrows
-- No row: the job was taken for lost meanwhile, and is another's to do.
UPDATE river_job SET state = 'completed', finalized_at = now()
WHERE id = @id AND state = 'running' AND attempt = @attempt;
