package identity

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// LogIn starts a session for whoever knows the password. Errors:
// ErrInvalidCredentials, in the same time for an address that nobody has, that
// is none, and a wrong password; ErrAccountSuspended after the right password only.
func (s *Service) LogIn(ctx context.Context, email, password string, d Device) (Session, error) {
	var row dbgen.User // without a password hash, which no password matches
	if address, err := NormalizeEmail(email); err == nil {
		row, err = s.q.UserGetByEmail(ctx, s.pool, address)
		if err != nil && !pgdb.NoRows(err) {
			return Session{}, pgdb.Classify(err)
		}
	}
	match, err := s.hasher.verify(ctx, row.PasswordHash, password)
	switch {
	case err != nil:
		return Session{}, err
	case !match:
		return Session{}, ErrInvalidCredentials
	case row.Status != statusActive:
		return Session{}, ErrAccountSuspended
	}
	var session Session
	err = pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
		session, err = s.startSession(ctx, tx, row.ID, d)
		return err
	})
	return session, err
}
