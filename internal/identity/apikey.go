package identity

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/tokens"
)

// An API key reads ask_<id>_<secret>: the id in 32 and the secret in 64
// hexadecimal digits, so that a double click selects it all.
const (
	apiKeyPrefix = "ask_"
	apiKeyLength = len(apiKeyPrefix) + 32 + 1 + 64
)

// APIKey is a key without its secret.
type APIKey struct {
	ID         uuid.UUID
	Name       string
	Scopes     []string
	ExpiresAt  *time.Time
	LastUsedAt *time.Time
	RotatedAt  *time.Time
	// PreviousExpiresAt is until when the secret before the last rotation works.
	PreviousExpiresAt *time.Time
	CreatedAt         time.Time
}

func apiKeyFrom(row dbgen.APIKey) APIKey {
	return APIKey{
		ID: row.ID, Name: row.Name, Scopes: row.Scopes, ExpiresAt: row.ExpiresAt, LastUsedAt: row.LastUsedAt,
		RotatedAt: row.RotatedAt, PreviousExpiresAt: row.PreviousExpiresAt, CreatedAt: row.CreatedAt,
	}
}

// apiSecret is the secret part of a key. It has 256 random bits, so that a
// plain SHA-256 protects it.
type apiSecret []byte

func (s apiSecret) hash() []byte {
	sum := sha256.Sum256(s)
	return sum[:]
}

// text is the key as its owner gets it.
func (s apiSecret) text(id uuid.UUID) string {
	return apiKeyPrefix + hex.EncodeToString(id[:]) + "_" + hex.EncodeToString(s)
}

func (s apiSecret) matches(stored []byte) bool {
	return subtle.ConstantTimeCompare(s.hash(), stored) == 1
}

// NewAPIKey is a key to be made.
type NewAPIKey struct {
	Name      string
	Scopes    []string
	ExpiresAt *time.Time // nil for never; must lie in the future
	CreatedBy uuid.UUID
}

// CreateAPIKey makes a key and returns it with the only copy of its text.
func (s *Service) CreateAPIKey(ctx context.Context, n NewAPIKey) (_ APIKey, text string, err error) {
	now := s.clock()
	if n.ExpiresAt != nil && !n.ExpiresAt.After(now) {
		return APIKey{}, "", apperr.InvalidField("/expires_at", "must lie in the future")
	}
	id, secret := uuid.Must(uuid.NewV7()), apiSecret(tokens.NewSecret())
	var row dbgen.APIKey
	err = pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
		row, err = s.q.APIKeyInsert(ctx, tx, dbgen.APIKeyInsertParams{
			ID: id, Name: n.Name, SecretHash: secret.hash(), Scopes: n.Scopes, CreatedBy: &n.CreatedBy, Now: now, ExpiresAt: n.ExpiresAt,
		})
		if err != nil {
			return fmt.Errorf("inserting the API key: %w", err)
		}
		return s.Audit.Write(ctx, tx, audit.APIKeyCreated, onAPIKey(id), audit.Details{"scopes": n.Scopes})
	})
	if err != nil {
		return APIKey{}, "", err
	}
	return apiKeyFrom(row), secret.text(id), nil
}

// RotateAPIKey gives a key a new secret and returns it with the only copy of
// its text. The one until now works for the overlap. The key's id stays, and
// with it the idempotency keys of its requests. Errors: ErrAPIKeyNotFound, also
// for a key that has expired.
func (s *Service) RotateAPIKey(ctx context.Context, id uuid.UUID, overlap time.Duration) (_ APIKey, text string, err error) {
	secret, now := apiSecret(tokens.NewSecret()), s.clock()
	var row dbgen.APIKey
	err = pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
		row, err = s.q.APIKeyRotate(ctx, tx, dbgen.APIKeyRotateParams{ID: id, SecretHash: secret.hash(), PreviousExpiresAt: now.Add(overlap), Now: now})
		if pgdb.NoRows(err) {
			return ErrAPIKeyNotFound
		}
		if err != nil {
			return fmt.Errorf("rotating the API key: %w", err)
		}
		return s.Audit.Write(ctx, tx, audit.APIKeyRotated, onAPIKey(id), nil)
	})
	if err != nil {
		return APIKey{}, "", err
	}
	return apiKeyFrom(row), secret.text(id), nil
}

func onAPIKey(id uuid.UUID) audit.Target { return audit.Target{Type: audit.TargetAPIKey, ID: id} }

// APIKeys lists the keys before an id (uuid.Max for all), newest first; more
// says that there are older ones.
func (s *Service) APIKeys(ctx context.Context, before uuid.UUID, limit int) (page []APIKey, more bool, err error) {
	rows, err := s.q.APIKeyList(ctx, s.pool, dbgen.APIKeyListParams{Before: before, PageSize: int32(limit) + 1}) //nolint:gosec // at most 200
	if err != nil {
		return nil, false, pgdb.Classify(err)
	}
	rows, more = cut(rows, limit)
	for _, row := range rows {
		page = append(page, apiKeyFrom(row))
	}
	return page, more, nil
}

// DeleteAPIKey makes a key void. Errors: ErrAPIKeyNotFound.
func (s *Service) DeleteAPIKey(ctx context.Context, id uuid.UUID) error {
	return pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		now := s.clock()
		deleted, err := s.q.APIKeyDelete(ctx, tx, dbgen.APIKeyDeleteParams{ID: id, Now: &now})
		if err != nil {
			return fmt.Errorf("deleting the API key: %w", err)
		}
		if deleted == 0 {
			return ErrAPIKeyNotFound
		}
		return s.Audit.Write(ctx, tx, audit.APIKeyDeleted, onAPIKey(id), nil)
	})
}

func parseAPIKey(text string) (uuid.UUID, apiSecret, error) {
	if len(text) != apiKeyLength || !strings.HasPrefix(text, apiKeyPrefix) || text[len(apiKeyPrefix)+32] != '_' {
		return uuid.Nil, nil, ErrInvalidAPIKey
	}
	id, errID := hex.DecodeString(text[len(apiKeyPrefix):][:32])
	secret, errSecret := hex.DecodeString(text[len(apiKeyPrefix)+33:])
	if errID != nil || errSecret != nil {
		return uuid.Nil, nil, ErrInvalidAPIKey
	}
	return uuid.UUID(id), secret, nil
}
