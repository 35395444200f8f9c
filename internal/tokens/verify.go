package tokens

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/apperr"
)

const (
	// maxLength bounds what is parsed; ours have about 600 bytes.
	maxLength = 4096
	// leeway is how far the clock of the replica that issued a token may be
	// ahead. It does not lengthen a token's life.
	leeway = 5 * time.Second
	// lastDate is the end of the year 9999, beyond which nothing is a date.
	lastDate = 253_402_300_799
)

// ErrInvalid is the answer to every token that is not good, whatever is wrong with it.
var ErrInvalid = apperr.New(apperr.Unauthenticated, "invalid_access_token", "The access token is not valid. Refresh it or log in again.")

// Why a token is not good, for the logs. None tells what the token says.
var (
	errShape   = errors.New("not three segments of base64url and JSON")
	errHeader  = errors.New("not the header of an access token")
	errKey     = errors.New("no key of that id and algorithm")
	errClaims  = errors.New("claims missing, misspelt or malformed")
	errForeign = errors.New("of another issuer or for another audience")
	errTime    = errors.New("expired or not yet valid")
)

// Verify checks a token and returns whom it is about. Whether the session is
// still alive is not in a token. Errors: ErrInvalid.
func (s *Service) Verify(ctx context.Context, token string) (Subject, error) {
	dot := strings.LastIndexByte(token, '.')
	// Go's base64 skips line ends even when it is strict.
	if dot < 0 || len(token) > maxLength || strings.ContainsAny(token, "\r\n") {
		return Subject{}, ErrInvalid.Because(errShape)
	}
	signed := token[:dot]
	// A third dot would be no base64.
	header, payload, _ := strings.Cut(signed, ".")
	var h joseHeader
	if err := decode(header, &h); err != nil {
		return Subject{}, ErrInvalid.Because(err)
	}
	if !h.good() {
		return Subject{}, ErrInvalid.Because(errHeader)
	}
	key, err := s.keys.find(ctx, h.KeyID)
	if err != nil {
		return Subject{}, err
	}
	// The key decides on the algorithm, never the token.
	if key == nil || h.Algorithm != key.method.Alg() {
		return Subject{}, ErrInvalid.Because(errKey)
	}
	signature, err := encoding.DecodeString(token[dot+1:])
	if err != nil {
		return Subject{}, ErrInvalid.Because(errShape)
	}
	if err := key.method.Verify(signed, signature, key.verify); err != nil {
		return Subject{}, ErrInvalid.Because(err)
	}
	var c claims
	if err := decode(payload, &c); err != nil {
		return Subject{}, ErrInvalid.Because(err)
	}
	subject, err := s.subject(&c)
	if err != nil {
		return Subject{}, ErrInvalid.Because(err)
	}
	return subject, nil
}

// subject is whom the claims are about, when they are all good.
func (s *Service) subject(c *claims) (Subject, error) {
	userID, okUser := canonical(c.Subject)
	sessionID, okSession := canonical(c.SessionID)
	if !okUser || !okSession || c.ID == "" || !exact(c.Other, claimNames) {
		return Subject{}, errClaims
	}
	for _, date := range []int64{c.ExpiresAt, c.IssuedAt, c.NotBefore} {
		if date <= 0 || date > lastDate {
			return Subject{}, errClaims
		}
	}
	// RFC 9068, section 4: others may be named besides us.
	if c.Issuer != s.o.Issuer || !slices.Contains(c.Audience, s.o.Audience) || slices.Contains(c.Audience, "") {
		return Subject{}, errForeign
	}
	now := s.o.Now()
	soon := now.Add(leeway).Unix()
	if c.ExpiresAt <= now.Unix() || c.IssuedAt > soon || c.NotBefore > soon {
		return Subject{}, errTime
	}
	return Subject{UserID: userID, SessionID: sessionID, Role: c.Role, Scopes: strings.Fields(c.Scope)}, nil
}

// canonical parses a UUID in the one form that we write: of the many forms that
// uuid.Parse takes, each would be another name of the same user.
func canonical(text string) (uuid.UUID, bool) {
	id, err := uuid.Parse(text)
	return id, err == nil && id.String() == text
}
