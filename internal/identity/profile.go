package identity

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// Me returns the user behind an access token. Errors: tokens.ErrInvalid when
// the user is gone since the token was checked.
func (s *Service) Me(ctx context.Context, id uuid.UUID) (User, error) {
	row, err := s.q.UserGet(ctx, s.pool, id)
	return userFrom(row, s.clock()), goneOr(err)
}

// UserChange is what to change of a user; nil leaves a field as it is.
type UserChange struct {
	Name     *string
	Locale   *string         // BCP 47; empty for none
	Metadata json.RawMessage // compact JSON object
	Role     *string         // for administrators to change
}

// fields names what is changed.
func (c UserChange) fields() (names []string) {
	if c.Name != nil {
		names = append(names, "name")
	}
	if c.Locale != nil {
		names = append(names, "locale")
	}
	if c.Metadata != nil {
		names = append(names, "metadata")
	}
	return names
}

// UpdateMe changes the user behind an access token, who cannot change the role.
// Errors as of Me, and an invalid name or locale.
func (s *Service) UpdateMe(ctx context.Context, id uuid.UUID, c UserChange) (user User, err error) {
	c.Role = nil
	err = pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		user, err = s.update(ctx, tx, id, c)
		return err
	})
	return user, err
}

func (s *Service) update(ctx context.Context, tx pgx.Tx, id uuid.UUID, c UserChange) (User, error) {
	if c.Name != nil {
		if err := checkName(*c.Name); err != nil {
			return User{}, err
		}
	}
	if c.Locale != nil {
		locale, err := normalizeLocale(*c.Locale)
		if err != nil {
			return User{}, err
		}
		c.Locale = &locale
	}
	now := s.clock()
	row, err := s.q.UserUpdate(ctx, tx, dbgen.UserUpdateParams{ID: id, Name: c.Name, Locale: c.Locale, Metadata: c.Metadata, Role: c.Role, Now: now})
	if err != nil {
		return User{}, goneOr(err)
	}
	if fields := c.fields(); len(fields) > 0 {
		err = s.Audit.Write(ctx, tx, audit.UserUpdated, audit.OnUser(id), audit.Details{"fields": fields})
	}
	return userFrom(row, now), err
}
