package identity

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/ratelimit"
)

// ChangePassword replaces the caller's password and ends their other sessions.
// Errors: ErrWrongPassword, an invalid new password, too many attempts.
func (s *Service) ChangePassword(ctx context.Context, by Caller, current, password string, d Device) error {
	row, err := s.confirm(ctx, by, current, audit.PasswordChangeFail, nil)
	if err != nil {
		return err
	}
	if password == current {
		return apperr.InvalidField("/new_password", "must not be the current password")
	}
	if err := checkPassword("/new_password", password, *row.Email, row.Name); err != nil {
		return err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		before, err := s.lockConfirmed(ctx, tx, row)
		if err != nil {
			return err
		}
		return s.setPassword(ctx, tx, before, hash, endedByPasswordChange, &by.SessionID, d)
	})
}

// confirm asks the caller, who is logged in, for the password again: whoever
// found a token must not be able to take the account over. A failure is recorded.
func (s *Service) confirm(ctx context.Context, by Caller, password string, failure audit.Type, details audit.Details) (dbgen.User, error) {
	limit := ratelimit.Limit{Action: "confirm", Of: by.SessionID.String(), Rate: s.o.Limits.ConfirmPerSession}
	if err := s.limit(ctx, limit); err != nil {
		return dbgen.User{}, err
	}
	row, err := s.q.UserGet(ctx, s.pool, by.UserID)
	if err != nil {
		return row, goneOr(err)
	}
	verdict, err := s.hasher.verify(ctx, row.PasswordHash, password)
	if err != nil {
		return row, err
	}
	if !verdict.match {
		if err := s.Audit.Record(ctx, audit.User(by.UserID), failure, audit.OnUser(by.UserID), details); err != nil {
			return row, err
		}
		return row, ErrWrongPassword
	}
	return row, s.Limiter.GiveBack(ctx, limit)
}

// lockConfirmed locks a user whose password was just confirmed, if it is still
// the same: checking it takes long, and does so outside of any transaction.
func (s *Service) lockConfirmed(ctx context.Context, tx pgx.Tx, confirmed dbgen.User) (dbgen.User, error) {
	row, err := s.q.UserLock(ctx, tx, confirmed.ID)
	if err != nil {
		return row, goneOr(err)
	}
	if row.PasswordHash == nil || *row.PasswordHash != *confirmed.PasswordHash {
		return row, ErrWrongPassword
	}
	return row, nil
}

// inNameOf is ctx for what somebody does who has just shown who they are.
func inNameOf(ctx context.Context, actor audit.Actor) context.Context {
	source := audit.SourceOf(ctx)
	source.Actor = actor
	return audit.WithSource(ctx, source)
}
