package identity

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// errPasswordReplaced says that the stored hash is not the one that was checked.
var errPasswordReplaced = errors.New("the password was replaced while it was checked")

// LogIn starts a session for whoever knows the password. Errors:
// ErrInvalidCredentials, in the same time for an address that nobody has, that
// is none, and a wrong password; ErrAccountSuspended and ErrEmailNotVerified
// after the right password only; too many attempts.
func (s *Service) LogIn(ctx context.Context, email, password string, d Device) (Session, error) {
	address, invalid := NormalizeEmail(email)
	if invalid != nil {
		address = strings.ToLower(email)
	}
	right, err := s.limitLogin(ctx, address, d.IP)
	if err != nil {
		return Session{}, err
	}
	var row dbgen.User // without a password hash, which no password matches
	if invalid == nil {
		row, err = s.q.UserGetByEmail(ctx, s.pool, &address)
		if err != nil && !pgdb.NoRows(err) {
			return Session{}, pgdb.Classify(err)
		}
	}
	verdict, err := s.hasher.verify(ctx, row.PasswordHash, password)
	if err != nil {
		return Session{}, err
	}
	if !verdict.match {
		return Session{}, s.loginFailed(ctx, row, "wrong_credentials", ErrInvalidCredentials)
	}
	if err := right(); err != nil {
		return Session{}, err
	}
	switch {
	case statusOf(row, s.clock()) != StatusActive:
		return Session{}, s.loginFailed(ctx, row, "suspended", ErrAccountSuspended)
	case s.o.RequireVerifiedEmail && !row.EmailVerified:
		return Session{}, s.loginFailed(ctx, row, "email_not_verified", ErrEmailNotVerified)
	}
	checked := *row.PasswordHash
	var newHash string
	if verdict.outdated {
		// Where there is no time for it now, a later login will do.
		newHash, _ = s.hasher.hash(ctx, password)
	}
	var session Session
	err = pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
		if newHash != "" {
			if err := s.q.UserUpgradePassword(ctx, tx, dbgen.UserUpgradePasswordParams{ID: row.ID, OldHash: row.PasswordHash, NewHash: &newHash}); err != nil {
				return err
			}
			checked = newHash
		}
		session, err = s.startSession(ctx, tx, row.ID, checked, d)
		return err
	})
	if errors.Is(err, errPasswordReplaced) {
		return s.LogIn(ctx, email, password, d) // what it is now decides
	}
	return session, err
}

// loginFailed records a failure and returns the refusal. It does the same for
// an account as for none.
func (s *Service) loginFailed(ctx context.Context, row dbgen.User, reason string, refusal error) error {
	var target audit.Target
	if row.ID != uuid.Nil {
		target = audit.OnUser(row.ID)
	}
	if err := s.Audit.Record(ctx, audit.Anonymous, audit.LoginFail, target, audit.Details{"reason": reason}); err != nil {
		return err
	}
	return refusal
}
