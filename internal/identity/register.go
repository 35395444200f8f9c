package identity

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/pgdb"
)

// Register makes an account and logs it in. Where addresses must be verified
// first, it returns no session, does the same work for every address, and
// leaves the rest to a mail. Errors: ErrEmailTaken (not where addresses must be
// verified), an invalid e-mail address, name, locale or password, too many attempts.
func (s *Service) Register(ctx context.Context, n NewUser, d Device) (*Session, error) {
	n.Role, n.EmailVerified = RoleUser, false
	if err := s.limitAddress(ctx, "register", d.IP, s.o.Limits.RegisterPerAddress); err != nil {
		return nil, err
	}
	hash, err := s.prepare(ctx, &n)
	if err != nil {
		return nil, err
	}
	if s.o.RequireVerifiedEmail {
		return nil, s.ask(ctx, asked{What: askedToRegister, Email: n.Email, Name: n.Name, Locale: n.Locale, PasswordHash: hash})
	}
	var session Session
	err = pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		user, err := s.insertUser(ctx, tx, n, &hash)
		if err != nil {
			return err
		}
		if err := s.Audit.WriteAs(ctx, tx, audit.User(user.ID), audit.UserCreated, audit.OnUser(user.ID), audit.Details{"role": n.Role}); err != nil {
			return err
		}
		if err := s.mailVerification(ctx, tx, user); err != nil {
			return err
		}
		session, err = s.startSession(ctx, tx, user.ID, hash, d)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &session, nil
}
