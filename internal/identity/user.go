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
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// Roles of users.
const (
	RoleUser  = "user"
	RoleAdmin = "admin"
)

// maxName is the length of a name, in characters.
const maxName = 200

// statusActive is the only status in which a user may log in.
const statusActive = "active"

// User is one account.
type User struct {
	ID            uuid.UUID
	Email         string // normalised
	EmailVerified bool
	Name          string
	Role          string
	Status        string
	Metadata      json.RawMessage
	CreatedAt     time.Time
	UpdatedAt     time.Time
	LastLoginAt   *time.Time
}

func userFrom(row dbgen.User) User {
	return User{
		ID: row.ID, Email: row.Email, EmailVerified: row.EmailVerified, Name: row.Name, Role: row.Role, Status: row.Status,
		Metadata: row.Metadata, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, LastLoginAt: row.LastLoginAt,
	}
}

// NewUser is a user to be made.
type NewUser struct {
	Email    string
	Password string
	Name     string
	Role     string
}

// CreateUser makes a user who is not logged in, as operators do. Errors:
// ErrEmailTaken, an invalid e-mail address or password.
func (s *Service) CreateUser(ctx context.Context, n NewUser) (User, error) {
	hash, err := s.prepare(ctx, &n)
	if err != nil {
		return User{}, err
	}
	var user User
	err = pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		user, err = s.insertUser(ctx, tx, n, hash)
		return err
	})
	return user, err
}

// FindUser returns the user of an e-mail address, if there is one.
func (s *Service) FindUser(ctx context.Context, email string) (_ User, found bool, err error) {
	address, err := NormalizeEmail(email)
	if err != nil {
		return User{}, false, err
	}
	row, err := s.q.UserGetByEmail(ctx, s.pool, address)
	if pgdb.NoRows(err) {
		return User{}, false, nil
	}
	return userFrom(row), err == nil, pgdb.Classify(err)
}

// prepare checks and normalises what a new user brings, and hashes the password,
// which takes long and so comes before any transaction.
func (s *Service) prepare(ctx context.Context, n *NewUser) (hash string, err error) {
	if n.Email, err = NormalizeEmail(n.Email); err != nil {
		return "", err
	}
	if err := errors.Join(checkName(n.Name), checkPassword(n.Password)); err != nil {
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

func (s *Service) insertUser(ctx context.Context, tx pgx.Tx, n NewUser, hash string) (User, error) {
	row, err := s.q.UserInsert(ctx, tx, dbgen.UserInsertParams{
		ID: uuid.Must(uuid.NewV7()), Email: n.Email, Name: n.Name, Role: n.Role, PasswordHash: &hash, Now: s.clock(),
	})
	if pgdb.Broke(err, pgdb.ConstraintUserEmail) {
		return User{}, ErrEmailTaken
	}
	if err != nil {
		return User{}, fmt.Errorf("inserting the user: %w", err)
	}
	return userFrom(row), s.o.UserCreated(ctx, tx, row.ID)
}
