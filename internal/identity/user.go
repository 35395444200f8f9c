package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/tokens"
)

// Roles of users.
const (
	RoleUser  = "user"
	RoleAdmin = "admin"
)

// Statuses of users.
const (
	StatusActive    = "active" // the only one in which a user may log in
	StatusSuspended = "suspended"
)

// maxName is the length of a name, in characters.
const maxName = 200

// User is one account.
type User struct {
	ID            uuid.UUID
	Email         string // normalised
	EmailVerified bool
	Name          string
	Locale        *string // BCP 47; nil for the service's own
	Role          string
	Status        string
	Suspension    *Suspension // nil unless suspended
	Metadata      json.RawMessage
	CreatedAt     time.Time
	UpdatedAt     time.Time
	LastLoginAt   *time.Time
}

// Suspension is why and how long a user may not log in.
type Suspension struct {
	Reason *string
	Since  time.Time
	Until  *time.Time // nil for good
}

// userFrom reads a row of somebody who is not deleted, at a moment.
func userFrom(row dbgen.User, now time.Time) User {
	u := User{
		ID: row.ID, EmailVerified: row.EmailVerified, Name: row.Name, Locale: row.Locale, Role: row.Role, Status: statusOf(row, now),
		Metadata: row.Metadata, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, LastLoginAt: row.LastLoginAt,
	}
	if row.Email != nil {
		u.Email = *row.Email
	}
	if u.Status == StatusSuspended {
		u.Suspension = &Suspension{Reason: row.SuspensionReason, Since: row.UpdatedAt, Until: row.SuspendedUntil}
		if row.SuspendedAt != nil {
			u.Suspension.Since = *row.SuspendedAt
		}
	}
	return u
}

// statusOf is a user's status at a moment: a suspension that has run out is
// none, whether or not the clean-up has been there.
func statusOf(row dbgen.User, now time.Time) string {
	if row.SuspendedUntil != nil && !row.SuspendedUntil.After(now) {
		return StatusActive
	}
	return row.Status
}

// NewUser is a user to be made.
type NewUser struct {
	Email         string
	EmailVerified bool
	Password      string
	Name          string
	Locale        string // BCP 47; empty for none
	// AcceptLanguage is where the locale comes from if it is empty: the header of
	// the person's own request.
	AcceptLanguage string
	Role           string
}

// CreateUser makes a user who is not logged in, as operators do. Errors:
// ErrEmailTaken, an invalid e-mail address, name, locale or password.
func (s *Service) CreateUser(ctx context.Context, n NewUser) (User, error) {
	hash, err := s.prepare(ctx, &n)
	if err != nil {
		return User{}, err
	}
	var user User
	err = pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		if user, err = s.insertUser(ctx, tx, n, &hash); err != nil {
			return err
		}
		return s.Audit.Write(ctx, tx, audit.UserCreated, audit.OnUser(user.ID), audit.Details{"role": n.Role})
	})
	return user, err
}

// FindUser returns the user of an e-mail address, if there is one.
func (s *Service) FindUser(ctx context.Context, email string) (_ User, found bool, err error) {
	address, err := NormalizeEmail(email)
	if err != nil {
		return User{}, false, err
	}
	row, err := s.q.UserGetByEmail(ctx, s.pool, &address)
	if pgdb.NoRows(err) {
		return User{}, false, nil
	}
	return userFrom(row, s.clock()), err == nil, pgdb.Classify(err)
}

// prepare checks and normalises what a new user brings, and hashes the password,
// which takes long and so comes before any transaction.
func (s *Service) prepare(ctx context.Context, n *NewUser) (hash string, err error) {
	if n.Email, err = NormalizeEmail(n.Email); err != nil {
		return "", err
	}
	var wrongLocale error
	n.Locale, wrongLocale = s.localeOf(*n)
	if err := errors.Join(checkName(n.Name), wrongLocale, checkPassword("/password", n.Password, n.Email, n.Name)); err != nil {
		return "", err
	}
	return s.hasher.hash(ctx, n.Password)
}

func checkName(name string) error {
	if utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, unicode.IsControl) {
		return apperr.InvalidField("/name", fmt.Sprintf("must have at most %d characters and no control characters", maxName))
	}
	return nil
}

// insertUser makes a user; one without a password cannot log in yet.
func (s *Service) insertUser(ctx context.Context, tx pgx.Tx, n NewUser, hash *string) (User, error) {
	now := s.clock()
	row, err := s.q.UserInsert(ctx, tx, dbgen.UserInsertParams{
		ID: uuid.Must(uuid.NewV7()), Email: &n.Email, EmailVerified: n.EmailVerified, Name: n.Name, Locale: orNil(n.Locale),
		Role: n.Role, PasswordHash: hash, Now: now,
	})
	if pgdb.Broke(err, pgdb.ConstraintUserEmail) {
		return User{}, ErrEmailTaken
	}
	if err != nil {
		return User{}, fmt.Errorf("inserting the user: %w", err)
	}
	return userFrom(row, now), s.UserCreated(ctx, tx, row.ID)
}

// orNil is nil for nothing.
func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// goneOr is for a logged-in person whose row is not there any more: they were
// deleted since their token was checked.
func goneOr(err error) error {
	if pgdb.NoRows(err) {
		return tokens.ErrInvalid
	}
	return pgdb.Classify(err)
}
