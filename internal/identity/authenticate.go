package identity

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/tokens"
)

// Scopes are all that there are.
var Scopes = []string{"credits:read", "credits:grant", "credits:debit", "credits:transfer", "users:read", "users:write", "audit:read"}

// scopesOf are those of a person's access token: every one for an
// administrator, none for anyone else.
func scopesOf(role string) []string {
	if role == RoleAdmin {
		return slices.Clone(Scopes)
	}
	return nil
}

// Caller is who makes a request: a person, or a backend with an API key.
type Caller struct {
	UserID    uuid.UUID // a person
	SessionID uuid.UUID
	Role      string
	APIKeyID  uuid.UUID // or a key
	Scopes    []string
}

// IsKey reports whether the caller is an API key.
func (c Caller) IsKey() bool { return c.APIKeyID != uuid.Nil }

// IsAdmin reports whether the caller is a person who is an administrator; a key never is.
func (c Caller) IsAdmin() bool { return c.Role == RoleAdmin }

// Has reports whether the caller carries a scope.
func (c Caller) Has(scope string) bool { return slices.Contains(c.Scopes, scope) }

// AuthenticateToken returns the person behind an access token whose session is
// alive. Role and scopes are those of now, not those of the token. Errors:
// tokens.ErrInvalid.
func (s *Service) AuthenticateToken(ctx context.Context, token string) (Caller, error) {
	subject, err := s.Tokens.Verify(ctx, token)
	if err != nil {
		return Caller{}, err
	}
	session, alive, err := s.sessions.Get(ctx, subject.SessionID)
	if err != nil {
		return Caller{}, pgdb.Classify(err)
	}
	if !alive || session.UserID != subject.UserID {
		return Caller{}, tokens.ErrInvalid
	}
	return Caller{UserID: subject.UserID, SessionID: subject.SessionID, Role: session.Role, Scopes: scopesOf(session.Role)}, nil
}

// callers finds the sessions that are alive.
func (s *Service) callers(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]dbgen.SessionCallersRow, error) {
	rows, err := s.q.SessionCallers(ctx, s.pool, dbgen.SessionCallersParams{Ids: ids, Now: s.clock()})
	found := make(map[uuid.UUID]dbgen.SessionCallersRow, len(rows))
	for _, row := range rows {
		found[row.ID] = row
	}
	return found, err
}

// AuthenticateKey returns the API key that a caller shows. Errors: ErrInvalidAPIKey.
func (s *Service) AuthenticateKey(ctx context.Context, shown string) (Caller, error) {
	id, secret, err := parseAPIKey(shown)
	if err != nil {
		return Caller{}, err
	}
	row, _, err := s.apiKeys.Get(ctx, id) // of a key that there is not, nothing matches
	if err != nil {
		return Caller{}, pgdb.Classify(err)
	}
	now := s.clock()
	current := secret.matches(row.SecretHash)
	previous := secret.matches(row.PreviousSecretHash) && row.PreviousExpiresAt.After(now)
	if !current && !previous || row.ExpiresAt != nil && !row.ExpiresAt.After(now) {
		return Caller{}, ErrInvalidAPIKey
	}
	if row.LastUsedAt == nil || now.Sub(*row.LastUsedAt) > time.Minute {
		if err := s.q.APIKeyUsed(ctx, s.pool, dbgen.APIKeyUsedParams{ID: id, Now: &now}); err != nil {
			return Caller{}, pgdb.Classify(err)
		}
	}
	return Caller{APIKeyID: row.ID, Scopes: row.Scopes}, nil
}

// findAPIKeys finds the keys that there are.
func (s *Service) findAPIKeys(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]dbgen.APIKey, error) {
	rows, err := s.q.APIKeyListByID(ctx, s.pool, ids)
	found := make(map[uuid.UUID]dbgen.APIKey, len(rows))
	for _, row := range rows {
		found[row.ID] = row
	}
	return found, err
}
