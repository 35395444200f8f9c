package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/identity"
)

type login struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// seed makes an administrator, a user with credits, some of them held, and an
// API key with every scope, where they are missing, and fills in how to log in
// as them.
func seed(ctx context.Context, d *domain, state *devState, info *devInfo, progress func(string)) error {
	info.Admin = login{"admin@example.com", state.AdminPassword}
	info.User = login{"user@example.com", state.UserPassword}
	admin, err := ensureUser(ctx, d, identity.NewUser{Email: info.Admin.Email, Password: info.Admin.Password, EmailVerified: true, Name: "Demo Admin", Role: identity.RoleAdmin}, progress)
	if err != nil {
		return err
	}
	user, err := ensureUser(ctx, d, identity.NewUser{Email: info.User.Email, Password: info.User.Password, EmailVerified: true, Name: "Demo User", Role: identity.RoleUser}, progress)
	if err != nil {
		return err
	}
	if err := creditOnce(ctx, d, admin.ID, user.ID); err != nil {
		return err
	}
	info.APIKey, err = ensureKey(ctx, d, admin.ID, state)
	return err
}

func ensureUser(ctx context.Context, d *domain, n identity.NewUser, progress func(string)) (identity.User, error) {
	user, found, err := d.identity.FindUser(ctx, n.Email)
	if err != nil || found {
		return user, err
	}
	progress("creating " + n.Email)
	return d.identity.CreateUser(ctx, n)
}

// creditOnce gives the demo user credits, and holds some of them for a year,
// under fixed keys, so that a later start adds none.
func creditOnce(ctx context.Context, d *domain, admin, user uuid.UUID) error {
	request := func(what string) creditledger.Request {
		return creditledger.Request{
			Actor: creditledger.Actor{Type: creditledger.ActorUser, ID: admin}, Key: "authservice-dev-demo-" + what,
			Fingerprint: sha256.Sum256([]byte("demo " + what)),
			Refusal:     func(e *apperr.Error) (int, []byte) { return 409, []byte(e.Detail) },
		}
	}
	reference, gift, booking := "demo", "Credits to try things out with", "A booking that is yet to be captured"
	_, err := d.ledger.Grant(ctx, request("grant"), creditledger.GrantParams{
		UserID: user, Amount: 100_000, Priority: creditledger.DefaultPriority, Reference: &reference,
		Note: creditledger.Note{Description: &gift},
	})
	if err != nil {
		return err
	}
	_, err = d.ledger.Hold(ctx, request("hold"), creditledger.HoldParams{
		UserID: user, Amount: 2_500, ExpiresIn: 365 * 24 * time.Hour, Reference: &reference, Note: creditledger.Note{Description: &booking},
	})
	if refused := new(creditledger.Refused); errors.As(err, &refused) {
		return nil // in a directory of before, where the credits may be spent
	}
	return err
}

func ensureKey(ctx context.Context, d *domain, admin uuid.UUID, state *devState) (string, error) {
	if _, err := d.identity.AuthenticateKey(ctx, state.APIKey); err == nil {
		return state.APIKey, nil
	}
	_, text, err := d.identity.CreateAPIKey(ctx, identity.NewAPIKey{Name: "dev", Scopes: identity.Scopes, CreatedBy: admin})
	if err != nil {
		return "", err
	}
	state.APIKey = text
	return text, state.save()
}
