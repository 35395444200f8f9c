package tokens

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/dbgen"
)

const (
	// headerType marks access tokens (RFC 9068, section 2.1).
	headerType = "at+jwt"
	// maxLength bounds what is parsed; ours have about 600 bytes.
	maxLength = 4096
	// leeway is how far the clock of the replica that issued a token may be
	// ahead. It does not lengthen a token's life.
	leeway = 5 * time.Second
)

// ErrInvalid is the answer to every token that is not good, whatever is wrong with it.
var ErrInvalid = apperr.New(apperr.Unauthenticated, "invalid_access_token", "The access token is not valid. Refresh it or log in again.")

// Options are what tokens say and how long they last.
type Options struct {
	Algorithm string // one of Algorithms
	Issuer    string
	Audience  string
	TTL       time.Duration
	Now       func() time.Time
}

// Subject is whom a token is about.
type Subject struct {
	UserID    uuid.UUID
	SessionID uuid.UUID
	Role      string
	Scopes    []string
}

// Service issues and verifies access tokens.
type Service struct {
	o      Options
	keys   *keyring
	parser *jwt.Parser
}

// Open reads the signing keys, making the first one in an empty database.
func Open(ctx context.Context, pool *pgxpool.Pool, sealer *Sealer, o Options) (*Service, error) {
	keys, err := openKeyring(ctx, &keyring{pool: pool, q: dbgen.New(), sealer: sealer, algorithm: o.Algorithm, now: o.Now})
	if err != nil {
		return nil, err
	}
	return &Service{o: o, keys: keys, parser: jwt.NewParser(
		jwt.WithValidMethods(Algorithms),
		jwt.WithIssuer(o.Issuer),
		jwt.WithAudience(o.Audience),
		jwt.WithExpirationRequired(),
		jwt.WithNotBeforeRequired(),
		jwt.WithIssuedAt(),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(o.Now),
		jwt.WithLeeway(leeway),
	)}, nil
}

// TTL is how long an access token lasts.
func (s *Service) TTL() time.Duration { return s.o.TTL }

// JWKS are the public keys, empty for HS256. The slice must not be changed.
func (s *Service) JWKS() []JWK { return s.keys.jwks() }

// claims are those of RFC 9068, with the session (sid) and the role.
type claims struct {
	jwt.RegisteredClaims
	ClientID  string `json:"client_id"`
	SessionID string `json:"sid"`
	Scope     string `json:"scope"`
	Role      string `json:"role"`
}

// Issue makes an access token.
func (s *Service) Issue(subject Subject) (string, error) {
	key := s.keys.signing()
	now := s.o.Now()
	token := jwt.NewWithClaims(key.method, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: s.o.Issuer, Audience: jwt.ClaimStrings{s.o.Audience}, Subject: subject.UserID.String(),
			ExpiresAt: jwt.NewNumericDate(now.Add(s.o.TTL)), IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now),
			ID: uuid.NewString(),
		},
		// RFC 9068 wants a client_id; here people log in to the product itself.
		ClientID: s.o.Audience, SessionID: subject.SessionID.String(), Scope: strings.Join(subject.Scopes, " "), Role: subject.Role,
	})
	token.Header["typ"] = headerType
	token.Header["kid"] = key.kid
	signed, err := token.SignedString(key.sign)
	if err != nil {
		return "", apperr.InternalBecause(fmt.Errorf("signing an access token: %w", err))
	}
	return signed, nil
}

// Verify checks a token and returns whom it is about. Whether the session is
// still alive is not in a token. Errors: ErrInvalid.
func (s *Service) Verify(ctx context.Context, token string) (Subject, error) {
	// Go's base64 skips line ends even when it is strict.
	if len(token) > maxLength || strings.ContainsAny(token, "\r\n") {
		return Subject{}, ErrInvalid
	}
	var unavailable error
	var c claims
	_, err := s.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		// crit names extensions that must be understood (RFC 7515, section 4.1.11); we know none.
		if _, critical := t.Header["crit"]; critical || t.Header["typ"] != headerType {
			return nil, errors.New("not an access token")
		}
		kid, _ := t.Header["kid"].(string)
		key, err := s.keys.find(ctx, kid)
		if err != nil {
			unavailable = err
			return nil, err
		}
		// The key decides on the algorithm, never the token.
		if key == nil || t.Method.Alg() != key.method.Alg() {
			return nil, errors.New("unknown key")
		}
		return key.verify, nil
	})
	if unavailable != nil {
		return Subject{}, unavailable
	}
	if err == nil && !c.ExpiresAt.After(s.o.Now()) {
		err = jwt.ErrTokenExpired
	}
	if err != nil {
		return Subject{}, ErrInvalid.Because(err)
	}
	subject := Subject{Role: c.Role, Scopes: strings.Fields(c.Scope)}
	var errUser, errSession error
	subject.UserID, errUser = uuid.Parse(c.Subject)
	subject.SessionID, errSession = uuid.Parse(c.SessionID)
	if err := errors.Join(errUser, errSession); err != nil {
		return Subject{}, ErrInvalid.Because(err)
	}
	return subject, nil
}
