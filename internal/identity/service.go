package identity

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/jobs"
	"github.com/authservice/authservice/internal/mailer"
	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/ratelimit"
	"github.com/authservice/authservice/internal/tokens"
)

// Refusals.
var (
	ErrEmailTaken         = apperr.New(apperr.Conflict, "email_taken", "An account with this e-mail address exists.")
	ErrInvalidCredentials = apperr.New(apperr.Unauthenticated, "invalid_credentials", "The e-mail address or the password is wrong.")
	ErrWrongPassword      = apperr.New(apperr.Forbidden, "invalid_credentials", "The password is wrong.")
	ErrAccountSuspended   = apperr.New(apperr.Forbidden, "account_suspended", "This account is suspended.")
	ErrEmailNotVerified   = apperr.New(apperr.Forbidden, "email_not_verified", "The e-mail address is not verified yet. Open the link that was mailed to it, or ask for a new one.")
	ErrInvalidRefresh     = apperr.New(apperr.Unauthenticated, "invalid_refresh_token", "The refresh token is not valid. Log in again.")
	ErrRefreshReused      = apperr.New(apperr.Unauthenticated, "refresh_token_reused", "The refresh token was used before. The session was ended; log in again.")
	ErrInvalidToken       = apperr.New(apperr.Malformed, "invalid_token", "The link is not valid any more: it was used, replaced by a newer one, or has expired.")
	ErrInvalidAPIKey      = apperr.New(apperr.Unauthenticated, "invalid_api_key", "The API key is not valid.")
	ErrAdminRequired      = apperr.New(apperr.Forbidden, "admin_required", "Only administrators may do this.")
	ErrUserNotFound       = apperr.New(apperr.NotFound, "user_not_found", "There is no such user.")
	ErrSessionNotFound    = apperr.New(apperr.NotFound, "session_not_found", "There is no such session.")
	ErrAPIKeyNotFound     = apperr.New(apperr.NotFound, "api_key_not_found", "There is no such API key.")
	ErrLastAdmin          = apperr.New(apperr.Conflict, "last_admin", "This is the last active administrator. Make another one first.")
)

// Rooms are the parts of the service that identity works with.
type Rooms struct {
	Tokens  *tokens.Service
	Audit   *audit.Log
	Limiter *ratelimit.Limiter
	Jobs    *jobs.Queue
	Sealer  *tokens.Sealer // for what jobs hold
	Mailer  *mailer.Mailer // nil: no mail is sent, and nothing waits to be
	Reads   dbgen.DBTX     // the database for lists and exports, which may be a little late; nil for the pool
	// UserCreated and UserDeleted are called in the transaction that makes or
	// deletes a user, for what other packages keep of every user.
	UserCreated, UserDeleted func(ctx context.Context, tx pgx.Tx, userID uuid.UUID) error
}

// Options are the rules that a deployment sets.
type Options struct {
	Passwords            PasswordOptions
	RequireVerifiedEmail bool // whether an address must be verified before a login

	RefreshKey      []byte        // keys the succession of refresh tokens; see refresh.go
	RefreshTokenTTL time.Duration // how long a refresh token waits to be exchanged
	RefreshGrace    time.Duration // how long an exchange may be repeated
	SessionTTL      time.Duration // when a session ends, however often it is refreshed
	MaxSessions     int           // of one user; beyond it the oldest ends

	LinkKey       []byte        // keys the tokens in mailed links; see link.go
	LinkPattern   string        // where links lead to, with {page} and {token} in it; see link.go
	ResetTTL      time.Duration // how long a link to set a new password works
	VerifyTTL     time.Duration // how long a link to verify an address works
	InvitationTTL time.Duration // how long an invitation works

	LowBalance int64 // credits, in the smallest unit, of fewer than which people are warned

	Limits   Limits
	Now      func() time.Time
	Together pgdb.Together // hears of queries that requests share; nil for nobody
}

// Service is the accounts of all users. Its methods may be called
// concurrently, in several processes on one database.
type Service struct {
	Rooms
	pool   *pgxpool.Pool
	q      *dbgen.Queries
	hasher *hasher
	o      Options

	// Who calls is asked at every request.
	sessions *pgdb.Lookup[uuid.UUID, dbgen.SessionCallersRow]
	apiKeys  *pgdb.Lookup[uuid.UUID, dbgen.APIKey]
}

// New returns a service on a migrated database.
func New(pool *pgxpool.Pool, rooms Rooms, o Options) *Service {
	s := &Service{Rooms: rooms, pool: pool, q: dbgen.New(), hasher: newHasher(o.Passwords), o: o}
	if s.Reads == nil {
		s.Reads = pool
	}
	s.sessions, s.apiKeys = pgdb.NewLookup(s.callers, o.Together), pgdb.NewLookup(s.findAPIKeys, o.Together)
	return s
}

// clock tells the time as PostgreSQL keeps it, in microseconds.
func (s *Service) clock() time.Time { return s.o.Now().UTC().Truncate(time.Microsecond) }
