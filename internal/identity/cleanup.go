package identity

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/jobs"
	"github.com/authservice/authservice/internal/pgdb"
)

const (
	// sessionsKept is how long a session that is over is remembered, so that a
	// refresh token of it is still told from one that never was.
	sessionsKept = 30 * 24 * time.Hour
	// linksKept is how long a link that has expired is: its mail may still wait,
	// for as long as jobs are tried or have failed, and starts its time anew.
	linksKept = 4*24*time.Hour + jobs.KeepFailed
	// cleanUpPage is how many rows one statement or transaction changes.
	cleanUpPage = 500
)

// CleanUp makes visible what time has done, and removes what nobody needs any
// more. It may run at any time, on several replicas.
func (s *Service) CleanUp(ctx context.Context) error {
	_, errLinks := s.q.OneTimeTokenDeleteExpired(ctx, s.pool, s.clock().Add(-linksKept))
	return errors.Join(s.endSuspensions(ctx), s.forgetSessions(ctx), pgdb.Classify(errLinks))
}

func (s *Service) endSuspensions(ctx context.Context) error {
	for found := cleanUpPage; found == cleanUpPage; {
		err := pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) error {
			now := s.clock()
			over, err := s.q.UserListSuspensionsOver(ctx, tx, dbgen.UserListSuspensionsOverParams{Now: &now, PageSize: cleanUpPage})
			if err != nil {
				return err
			}
			found = len(over)
			for _, id := range over {
				if _, err := s.unsuspend(ctx, tx, id, audit.Details{reasonDetail: "expired"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) forgetSessions(ctx context.Context) error {
	for {
		before := s.clock().Add(-sessionsKept)
		deleted, err := s.q.SessionDeleteOver(ctx, s.pool, dbgen.SessionDeleteOverParams{Before: &before, PageSize: cleanUpPage})
		if err != nil || deleted < cleanUpPage {
			return pgdb.Classify(err)
		}
	}
}
