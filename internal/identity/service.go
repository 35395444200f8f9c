package identity

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/tokens"
)

// Refusals.
var (
	ErrEmailTaken         = apperr.New(apperr.Conflict, "email_taken", "An account with this e-mail address exists.")
	ErrInvalidCredentials = apperr.New(apperr.Unauthenticated, "invalid_credentials", "The e-mail address or the password is wrong.")
	ErrAccountSuspended   = apperr.New(apperr.Forbidden, "account_suspended", "This account is suspended.")
	ErrInvalidRefresh     = apperr.New(apperr.Unauthenticated, "invalid_refresh_token", "The refresh token is not valid. Log in again.")
	ErrRefreshReused      = apperr.New(apperr.Unauthenticated, "refresh_token_reused", "The refresh token was used before. The session was ended; log in again.")
	ErrInvalidAPIKey      = apperr.New(apperr.Unauthenticated, "invalid_api_key", "The API key is not valid.")
	ErrAPIKeyNotFound     = apperr.New(apperr.NotFound, "api_key_not_found", "There is no such API key.")
)

// Options are the rules that a deployment sets.
type Options struct {
	BcryptCost      int
	Pepper          []byte        // keys the pre-hash of passwords; empty for none
	RefreshKey      []byte        // keys the succession of refresh tokens; see refresh.go
	RefreshTokenTTL time.Duration // how long a refresh token waits to be exchanged
	RefreshGrace    time.Duration // how long an exchange may be repeated
	SessionTTL      time.Duration // when a session ends, however often it is refreshed
	Now             func() time.Time
	// UserCreated is called in the transaction that makes a user, for what
	// other packages keep of every user.
	UserCreated func(ctx context.Context, tx pgx.Tx, userID uuid.UUID) error
}

// Service is the accounts of all users. Its methods may be called
// concurrently, in several processes on one database.
type Service struct {
	pool   *pgxpool.Pool
	q      *dbgen.Queries
	tokens *tokens.Service
	hasher *hasher
	o      Options
}

// New returns a service on a migrated database.
func New(pool *pgxpool.Pool, t *tokens.Service, o Options) *Service {
	return &Service{pool: pool, q: dbgen.New(), tokens: t, hasher: newHasher(o.BcryptCost, o.Pepper), o: o}
}

// clock tells the time as PostgreSQL keeps it, in microseconds.
func (s *Service) clock() time.Time { return s.o.Now().UTC().Truncate(time.Microsecond) }
