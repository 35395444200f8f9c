package main

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// emailDomain is one that can have no mail server (RFC 6761, section 6.4).
const emailDomain = "@authbench.invalid"

// accounts are users with credits, which requests are spread over. With a
// database they are written into it, each with the password that everybody here
// has; without one they are made over the API, and have none.
func (b *bench) accounts(ctx context.Context) ([]uuid.UUID, error) {
	if b.people != nil {
		return b.people, nil
	}
	var err error
	if b.database != nil {
		b.people, err = b.populate(ctx, b.o.accounts, 0, 0)
	} else {
		b.people, err = b.createUsers(ctx, b.o.accounts)
	}
	return b.people, err
}

// populate writes users with a history into the database.
func (b *bench) populate(ctx context.Context, users, openGrants, spending int) ([]uuid.UUID, error) {
	hash, err := b.passwordHash(ctx)
	if err != nil {
		return nil, err
	}
	p := &population{
		seed: rand.Uint64(), users: users, openGrants: openGrants, spending: spending, actor: b.keyID, passwordHash: hash, //nolint:gosec // no secret
	}
	p.step = max(time.Microsecond, min(time.Second, 24*time.Hour/time.Duration(p.transactions()))).Truncate(time.Microsecond)
	p.begin = time.Now().UTC().Add(-time.Hour - time.Duration(p.transactions())*p.step).Truncate(time.Microsecond)
	b.progress.say(fmt.Sprintf("writing %s users with %s transactions", number(users), number(p.transactions())))
	defer b.progress.done()
	return p.userIDs(), writePopulation(ctx, b.database, p, func(what string, done, of int) {
		if of == 0 {
			b.progress.update(what)
			return
		}
		b.progress.update(fmt.Sprintf("%s %s of %s %s", bar(float64(done), float64(of)), number(done), number(of), what))
	})
}

// passwordHash is that of the password, as the service itself keeps it: hashes
// do not depend on the user, so that one registration serves all.
func (b *bench) passwordHash(ctx context.Context) (hash string, err error) {
	logins, err := b.sessions(ctx, 1)
	if err != nil {
		return "", err
	}
	err = b.database.QueryRow(ctx, "SELECT password_hash FROM users WHERE id = $1", logins[0].userID).Scan(&hash)
	return hash, err
}

// createUsers makes users over the API, which invites them, and grants to each.
func (b *bench) createUsers(ctx context.Context, n int) ([]uuid.UUID, error) {
	users := make([]uuid.UUID, n)
	err := b.each(ctx, n, b.o.connections, "creating users", func(c *conn, i int) error {
		var user struct {
			ID uuid.UUID `json:"id"`
		}
		err := b.post(c, "/v1/users", fmt.Sprintf(`{"email":%q}`, uuid.NewString()+emailDomain), &user, "X-API-Key: "+b.apiKey)
		if err != nil {
			return err
		}
		users[i] = user.ID
		return b.post(c, fmt.Sprintf("/v1/users/%s/credits/grants", user.ID), fmt.Sprintf(`{"amount":%d}`, lastGrant), nil,
			"X-API-Key: "+b.apiKey, "Idempotency-Key: "+uuid.NewString())
	})
	return users, err
}

// session is somebody who is logged in.
type session struct {
	userID          uuid.UUID
	email           string
	access, refresh string
}

// sessions are of so many users, with access tokens that are fresh enough for a
// measurement.
func (b *bench) sessions(ctx context.Context, n int) ([]*session, error) {
	if b.password == "" {
		b.password = crand.Text()
	}
	if have := len(b.logins); have < n {
		more := make([]*session, n-have)
		// Registrations wait for each other at the hashing of passwords.
		err := b.each(ctx, len(more), 4, "registering users", func(c *conn, i int) (err error) {
			more[i], err = b.signUp(c)
			return err
		})
		if err != nil {
			return nil, err
		}
		b.logins = append(b.logins, more...)
		if have == 0 {
			b.renewed = time.Now()
		}
	}
	if time.Since(b.renewed) > 5*time.Minute {
		err := b.each(ctx, len(b.logins), 4, "renewing sessions", func(c *conn, i int) error { return b.renew(c, b.logins[i]) })
		if err != nil {
			return nil, err
		}
		b.renewed = time.Now()
	}
	return b.logins[:n], nil
}

// tokens is what matters of the contract's Session.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	User    struct {
		ID    uuid.UUID `json:"id"`
		Email string    `json:"email"`
	} `json:"user"`
}

func (b *bench) signUp(c *conn) (*session, error) {
	var t tokens
	err := b.post(c, "/v1/auth/register", fmt.Sprintf(`{"email":%q,"password":%q}`, uuid.NewString()+emailDomain, b.password), &t)
	if err == nil && t.Access == "" {
		err = errors.New("who registers is not logged in: is AUTH_REQUIRE_EMAIL_VERIFICATION on?")
	}
	return &session{userID: t.User.ID, email: t.User.Email, access: t.Access, refresh: t.Refresh}, err
}

func (b *bench) renew(c *conn, s *session) error {
	var t tokens
	err := b.post(c, "/v1/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, s.refresh), &t)
	if err == nil {
		s.access, s.refresh = t.Access, t.Refresh
	}
	return err
}

// patience is how often a request is tried that the service has no time for.
const patience = 30

// post makes one request that must succeed, and decodes the answer into to
// unless that is nil.
func (b *bench) post(c *conn, path, body string, to any, headers ...string) error {
	request := newRequest(b.endpoint, "POST", path, body, headers...).bytes
	for try := 1; ; try++ {
		a, err := c.do(request)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", path, err)
		case a.status == 503 && try < patience:
			time.Sleep(time.Second)
		case a.status < 200 || a.status > 299:
			return fmt.Errorf("%s: status %d: %s", path, a.status, bytes.TrimSpace(a.body))
		case to == nil || len(a.body) == 0:
			return nil
		default:
			return json.Unmarshal(a.body, to)
		}
	}
}

// each does something n times over so many connections.
func (b *bench) each(ctx context.Context, n, connections int, what string, do func(c *conn, i int) error) error {
	b.progress.say(what)
	defer b.progress.done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	var begun, done atomic.Int64
	for range min(n, connections) {
		group.Go(func() {
			c, err := b.endpoint.dial(ctx)
			if err != nil {
				cancel(fmt.Errorf("connecting to the service: %w", err))
				return
			}
			defer c.close()
			for ctx.Err() == nil {
				i := int(begun.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(c, i); err != nil {
					cancel(fmt.Errorf("%s: %w", what, err))
					return
				}
				b.progress.update(fmt.Sprintf("%s %d of %d", bar(float64(done.Add(1)), float64(n)), done.Load(), n))
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}
