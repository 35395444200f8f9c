package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/authservice/authservice/internal/jobs"
)

// registerJobs says what is done beside requests: what they have left to do, and
// what time asks for. Each runs on one replica at a time.
func (d *domain) registerJobs(log *slog.Logger) {
	jobs.Handle(d.jobs, d.identity.SendMail, jobs.Timeout(2*time.Minute))
	jobs.Handle(d.jobs, d.identity.Answer)

	d.jobs.Every("rotate_signing_keys", 5*time.Minute, func(ctx context.Context) error {
		rotation, err := d.tokens.RotateIfDue(ctx)
		if rotation.Changed() {
			log.InfoContext(ctx, "signing keys rotated", "made", rotation.Made, "activated", rotation.Activated, "retired", rotation.Retired, "deleted", rotation.Deleted)
		}
		return err
	})
	d.jobs.Every("expire_credits", time.Minute, d.ledger.ExpireDue)
	d.jobs.Every("clean_up", 15*time.Minute, func(ctx context.Context) error {
		return errors.Join(d.identity.CleanUp(ctx), d.ledger.CleanUp(ctx), d.limits.CleanUp(ctx))
	}, jobs.Timeout(2*time.Minute)) // what is left is for the next time
}
