package identity

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/tokens"
)

// User returns the user behind an access token. Errors: tokens.ErrInvalid when
// the user is gone since the token was checked.
func (s *Service) User(ctx context.Context, id uuid.UUID) (User, error) {
	return userOrGone(s.q.UserGet(ctx, s.pool, id))
}

// UserChange is what to change of a user; nil leaves a field as it is.
type UserChange struct {
	Name     *string
	Metadata json.RawMessage // compact JSON object
}

// UpdateUser changes the user behind an access token. Errors as of User.
func (s *Service) UpdateUser(ctx context.Context, id uuid.UUID, c UserChange) (User, error) {
	return userOrGone(s.q.UserUpdate(ctx, s.pool, dbgen.UserUpdateParams{ID: id, Name: c.Name, Metadata: c.Metadata, Now: s.clock()}))
}

func userOrGone(row dbgen.User, err error) (User, error) {
	if pgdb.NoRows(err) {
		return User{}, tokens.ErrInvalid
	}
	return userFrom(row), pgdb.Classify(err)
}
