package tokens

import (
	"context"
	"errors"

	"github.com/authservice/authservice/api/accesstoken"
	"github.com/authservice/authservice/internal/apperr"
)

// ErrInvalid is the answer to every token that is not good, whatever is wrong with it.
var ErrInvalid = apperr.New(apperr.Unauthenticated, "invalid_access_token", "The access token is not valid. Refresh it or log in again.")

// Verify checks a token and returns whom it is about. Whether the session is
// still alive is not in a token. Errors: ErrInvalid.
func (s *Service) Verify(ctx context.Context, token string) (Subject, error) {
	rules := accesstoken.Rules{Issuer: s.o.Issuer, Audience: s.o.Audience, Now: s.o.Now}
	t, err := rules.Verify(token, func(kid string) (*accesstoken.Key, error) {
		key, err := s.keys.find(ctx, kid)
		if key == nil {
			return nil, err
		}
		return &key.Key, nil
	})
	var invalid *accesstoken.Invalid
	if errors.As(err, &invalid) {
		return Subject{}, ErrInvalid.Because(invalid.Unwrap())
	}
	return Subject{UserID: t.UserID, SessionID: t.SessionID, Role: t.Role, Scopes: t.Scopes}, err
}
