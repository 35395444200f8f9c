package authclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/api/accesstoken"
)

// DefaultAudience is the aud of access tokens unless the deployment sets
// AUTH_JWT_AUDIENCE.
const DefaultAudience = "authservice"

// Identity is who an access token says is calling.
type Identity struct {
	UserID    uuid.UUID
	SessionID uuid.UUID
	Role      UserRole
	Scopes    []Scope
	ExpiresAt time.Time
}

// Has reports whether the caller carries a scope.
func (i Identity) Has(scope Scope) bool { return slices.Contains(i.Scopes, scope) }

// Errors of [Verifier.Verify].
var (
	// ErrInvalidToken is the error of a token that is not good; it wraps the
	// reason, which is for logs and repeats nothing of the token.
	ErrInvalidToken = errors.New("authclient: the access token is not valid")
	// ErrNoKeys is the error when the keys cannot be had, so that nobody can say
	// whether the token is good.
	ErrNoKeys = errors.New("authclient: the keys of access tokens cannot be had")
)

// Verifier checks access tokens with the service's public keys, exactly as the
// service itself does, without a call to it. What it cannot see is that a session
// has ended meanwhile: a token is good until it expires, 15 minutes by default.
//
// Keys are fetched with the first token and looked at again every five minutes,
// in the background. A token with an unknown key makes it look at once, but once
// in ten seconds at the most, whatever is sent. While the service does not
// answer, the keys that are there are used for an hour. Make one Verifier and
// share it.
//
// Services that sign with HS256 publish no key, and their tokens cannot be
// verified by others.
type Verifier struct {
	rules  accesstoken.Rules
	keys   *keySet
	refuse func(http.ResponseWriter, *http.Request, error)
}

// VerifierOption changes what a [Verifier] expects.
type VerifierOption func(*Verifier)

// WithIssuer sets the iss of tokens (AUTH_JWT_ISSUER), where it is not the URL
// of the service.
func WithIssuer(issuer string) VerifierOption { return func(v *Verifier) { v.rules.Issuer = issuer } }

// WithAudience sets the aud of tokens (AUTH_JWT_AUDIENCE), where it is not
// [DefaultAudience].
func WithAudience(audience string) VerifierOption {
	return func(v *Verifier) { v.rules.Audience = audience }
}

// WithKeysFrom fetches the keys through t.
func WithKeysFrom(t http.RoundTripper) VerifierOption {
	return func(v *Verifier) { v.keys.http.Transport = t }
}

// WithClock tells the time, for tests.
func WithClock(now func() time.Time) VerifierOption {
	return func(v *Verifier) { v.rules.Now, v.keys.now = now, now }
}

// WithRefusal replaces the answer of [Verifier.Middleware] and its like to a
// request that they do not let pass. err is [ErrInvalidToken], [ErrNoKeys],
// [ErrNoToken] or [ErrForbidden], perhaps wrapped.
func WithRefusal(refuse func(w http.ResponseWriter, r *http.Request, err error)) VerifierOption {
	return func(v *Verifier) { v.refuse = refuse }
}

// NewVerifier returns a verifier of the tokens of the service at baseURL.
func NewVerifier(baseURL string, opts ...VerifierOption) (*Verifier, error) {
	server, err := checkedURL(baseURL)
	if err != nil {
		return nil, err
	}
	v := &Verifier{
		rules:  accesstoken.Rules{Issuer: server, Audience: DefaultAudience, Now: time.Now},
		keys:   newKeySet(server + "/.well-known/jwks.json"),
		refuse: refuse,
	}
	for _, opt := range opts {
		opt(v)
	}
	return v, nil
}

// Verify checks a token and returns who is calling. Errors: ErrInvalidToken,
// ErrNoKeys, that of the context.
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	t, err := v.rules.Verify(token, func(kid string) (*accesstoken.Key, error) { return v.keys.find(ctx, kid) })
	if invalid, ok := errors.AsType[*accesstoken.Invalid](err); ok {
		return Identity{}, fmt.Errorf("%w: %w", ErrInvalidToken, invalid.Unwrap())
	}
	if err != nil {
		return Identity{}, err
	}
	scopes := make([]Scope, len(t.Scopes))
	for i, scope := range t.Scopes {
		scopes[i] = Scope(scope)
	}
	return Identity{UserID: t.UserID, SessionID: t.SessionID, Role: UserRole(t.Role), Scopes: scopes, ExpiresAt: t.ExpiresAt}, nil
}
