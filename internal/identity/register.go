package identity

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/pgdb"
)

// Register makes an account and logs it in. Errors: ErrEmailTaken, an invalid
// e-mail address or password.
func (s *Service) Register(ctx context.Context, n NewUser, d Device) (Session, error) {
	n.Role = RoleUser
	hash, err := s.prepare(ctx, &n)
	if err != nil {
		return Session{}, err
	}
	var session Session
	err = pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		user, err := s.insertUser(ctx, tx, n, hash)
		if err != nil {
			return err
		}
		session, err = s.startSession(ctx, tx, user.ID, d)
		return err
	})
	return session, err
}
