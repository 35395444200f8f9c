package tokens

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/authservice/authservice/api/accesstoken"
	"github.com/authservice/authservice/internal/apperr"
)

// rememberedTokens is how many good tokens are remembered, of some 400 bytes each.
const rememberedTokens = 16_384

// ErrInvalid is the answer to every token that is not good, whatever is wrong with it.
var ErrInvalid = apperr.New(apperr.Unauthenticated, "invalid_access_token", "The access token is not valid. Refresh it or log in again.")

// Verify checks a token and returns whom it is about. Whether the session is
// still alive is not in a token. Errors: ErrInvalid.
//
// A signature that was good stays good: of a token seen before only what can
// change is checked again, the time and whether its key is still ours.
func (s *Service) Verify(ctx context.Context, token string) (Subject, error) {
	digest := sha256.Sum256([]byte(token))
	if t, known := s.good.Get(digest); known && t.ExpiresAt.After(s.o.Now()) {
		if key, err := s.keys.find(ctx, t.KeyID); key != nil || err != nil {
			return subjectOf(t), err
		}
	}
	rules := accesstoken.Rules{Issuer: s.o.Issuer, Audience: s.o.Audience, Now: s.o.Now}
	t, err := rules.Verify(token, func(kid string) (*accesstoken.Key, error) {
		key, err := s.keys.find(ctx, kid)
		if key == nil {
			return nil, err
		}
		return &key.Key, nil
	})
	var invalid *accesstoken.Invalid
	switch {
	case errors.As(err, &invalid):
		return Subject{}, ErrInvalid.Because(invalid.Unwrap())
	case err != nil:
		return Subject{}, err
	}
	s.good.Add(digest, t)
	return subjectOf(t), nil
}

func subjectOf(t accesstoken.Token) Subject {
	return Subject{UserID: t.UserID, SessionID: t.SessionID, Role: t.Role, Scopes: t.Scopes}
}
