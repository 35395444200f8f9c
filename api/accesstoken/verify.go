package accesstoken

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

const (
	// MaxLength bounds what is parsed, in bytes; real ones have about 600.
	MaxLength = 4096
	// leeway is how far the clock of the replica that issued a token may be
	// ahead. It does not lengthen a token's life.
	leeway = 5 * time.Second
	// lastDate is the end of the year 9999, beyond which nothing is a date.
	lastDate = 253_402_300_799
)

// Why a token is not good, for logs. None tells what the token says.
var (
	errShape     = errors.New("not three segments of base64url and JSON")
	errHeader    = errors.New("not the header of an access token")
	errKey       = errors.New("no key of that id and algorithm")
	errSignature = errors.New("not signed with that key")
	errClaims    = errors.New("claims missing, misspelt or malformed")
	errForeign   = errors.New("of another issuer or for another audience")
	errTime      = errors.New("expired or not yet valid")
)

// Token is what a good token says.
type Token struct {
	UserID    uuid.UUID
	SessionID uuid.UUID
	Role      string
	Scopes    []string
	ExpiresAt time.Time
	KeyID     string // of the key that signed it
}

// Rules are what a token must fulfil besides being signed.
type Rules struct {
	Issuer   string // the iss, exactly
	Audience string // one of the aud
	Now      func() time.Time
}

// Verify checks a token and returns what it says. Whether its session is still
// alive is not in a token. find returns the key of an id, or nil; its error is
// returned as it is. Every other error is [Invalid].
func (r Rules) Verify(token string, find func(kid string) (*Key, error)) (Token, error) {
	dot := strings.LastIndexByte(token, '.')
	// Go's base64 skips line ends even when it is strict.
	if dot < 0 || len(token) > MaxLength || strings.ContainsAny(token, "\r\n") {
		return Token{}, &Invalid{errShape}
	}
	signed := token[:dot]
	// A third dot would be no base64.
	header, payload, _ := strings.Cut(signed, ".")
	var h Header
	if err := decode(header, &h); err != nil {
		return Token{}, &Invalid{err}
	}
	if !h.good() {
		return Token{}, &Invalid{errHeader}
	}
	key, err := find(h.KeyID)
	if err != nil {
		return Token{}, err
	}
	// The key decides on the algorithm, never the token.
	if key == nil || h.Algorithm != key.Method.Alg() {
		return Token{}, &Invalid{errKey}
	}
	signature, err := Encoding.DecodeString(token[dot+1:])
	if err != nil {
		return Token{}, &Invalid{errShape}
	}
	if err := key.Method.Verify(signed, signature, key.Public); err != nil {
		return Token{}, &Invalid{errSignature}
	}
	var c Claims
	if err := decode(payload, &c); err != nil {
		return Token{}, &Invalid{err}
	}
	good, err := r.check(&c)
	if err != nil {
		return Token{}, &Invalid{err}
	}
	good.KeyID = h.KeyID
	return good, nil
}

// check returns what the claims say, when they are all good.
func (r Rules) check(c *Claims) (Token, error) {
	userID, okUser := canonical(c.Subject)
	sessionID, okSession := canonical(c.SessionID)
	if !okUser || !okSession || c.ID == "" || !exact(c.Other, claimNames) {
		return Token{}, errClaims
	}
	for _, date := range []int64{c.ExpiresAt, c.IssuedAt, c.NotBefore} {
		if date <= 0 || date > lastDate {
			return Token{}, errClaims
		}
	}
	// RFC 9068, section 4: others may be named besides us.
	if c.Issuer != r.Issuer || !slices.Contains(c.Audience, r.Audience) || slices.Contains(c.Audience, "") {
		return Token{}, errForeign
	}
	now := r.Now()
	soon := now.Add(leeway).Unix()
	if c.ExpiresAt <= now.Unix() || c.IssuedAt > soon || c.NotBefore > soon {
		return Token{}, errTime
	}
	return Token{
		UserID: userID, SessionID: sessionID, Role: c.Role, Scopes: strings.Fields(c.Scope), ExpiresAt: time.Unix(c.ExpiresAt, 0).UTC(),
	}, nil
}

// canonical parses a UUID in the one form that is written: of the many forms
// that uuid.Parse takes, each would be another name of the same user.
func canonical(text string) (uuid.UUID, bool) {
	id, err := uuid.Parse(text)
	return id, err == nil && id.String() == text
}

// Invalid is the error of a token that is not good. Its text says why, for
// logs, and repeats nothing of the token; clients need not know.
type Invalid struct{ reason error }

// Error implements error.
func (e *Invalid) Error() string { return "invalid access token: " + e.reason.Error() }

// Unwrap returns the reason alone.
func (e *Invalid) Unwrap() error { return e.reason }
