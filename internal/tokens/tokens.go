package tokens

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/authservice/authservice/api/accesstoken"
	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/dbgen"
)

// DefaultRotationInterval is how long a key signs unless Options say otherwise.
const DefaultRotationInterval = 30 * 24 * time.Hour

// Options are what tokens say, how long they last, and how long their keys do.
type Options struct {
	Algorithm string // one of Algorithms
	Issuer    string
	Audience  string
	TTL       time.Duration
	// RotationInterval is how long a key signs; DefaultRotationInterval if 0.
	// It should be hours at least, for a key is published minutes before.
	RotationInterval time.Duration
	Now              func() time.Time
	// Rotated is called in the transaction of every rotation that changed
	// something; nil for nothing to do. Its error undoes the rotation.
	Rotated func(ctx context.Context, tx pgx.Tx, r Rotation) error
}

// Subject is whom a token is about.
type Subject struct {
	UserID    uuid.UUID
	SessionID uuid.UUID
	Role      string
	Scopes    []string
}

// Service issues and verifies access tokens and rotates the keys that sign
// them. Its methods may be called concurrently, in several processes on one
// database.
type Service struct {
	o    Options
	keys *keyring
	good *lru.Cache[[sha256.Size]byte, accesstoken.Token] // seen before
}

// Open reads the signing keys, making the first one in an empty database.
// Errors: ErrWrongKey when they are stored under another encryption key.
func Open(ctx context.Context, pool *pgxpool.Pool, sealer *Sealer, o Options) (*Service, error) {
	if o.RotationInterval == 0 {
		o.RotationInterval = DefaultRotationInterval
	}
	keys := &keyring{pool: pool, q: dbgen.New(), sealer: sealer, algorithm: o.Algorithm, now: o.Now}
	if err := keys.reload(ctx); err != nil {
		return nil, err
	}
	good, err := lru.New[[sha256.Size]byte, accesstoken.Token](rememberedTokens)
	return &Service{o: o, keys: keys, good: good}, err
}

// TTL is how long an access token lasts.
func (s *Service) TTL() time.Duration { return s.o.TTL }

// JWKS are the public keys: the one that signs, the one that will next, and
// those whose tokens may still be about. It is empty for HS256. The slice must
// not be changed, and may be kept for JWKSMaxAge.
func (s *Service) JWKS() []JWK { return s.keys.current(context.Background()).public }

// Issue makes an access token.
func (s *Service) Issue(subject Subject) (string, error) {
	key := s.keys.signing()
	now := s.o.Now()
	payload, err := accesstoken.Encode(accesstoken.Claims{
		Issuer: s.o.Issuer, Audience: accesstoken.Audiences{s.o.Audience}, Subject: subject.UserID.String(),
		ExpiresAt: now.Add(s.o.TTL).Unix(), IssuedAt: now.Unix(), NotBefore: now.Unix(), ID: uuid.NewString(),
		// RFC 9068 wants a client_id; here people log in to the product itself.
		ClientID: s.o.Audience, SessionID: subject.SessionID.String(), Scope: strings.Join(subject.Scopes, " "), Role: subject.Role,
	})
	if err != nil {
		return "", apperr.InternalBecause(fmt.Errorf("encoding an access token: %w", err))
	}
	text := key.header + "." + payload
	signature, err := key.Method.Sign(text, key.sign)
	if err != nil {
		return "", apperr.InternalBecause(fmt.Errorf("signing an access token: %w", err))
	}
	return text + "." + b64(signature), nil
}
