package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
	"github.com/authservice/authservice/internal/devmail"
	"github.com/authservice/authservice/internal/pgtest"
)

// replicas are several services on one database.
type replicas struct {
	all []*service
	box *devmail.Mailbox
	db  queryer
}

// queryer looks at their database.
type queryer interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Two replicas on one database are one service.
func TestReplicas(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startReplicas(t, db, db.Pool).requireOneService(t)
}

// startReplicas runs two; settings are added to theirs.
func startReplicas(t *testing.T, db *pgtest.Database, look queryer, settings ...string) *replicas {
	t.Helper()
	box, mail := startMailbox(t)
	r := &replicas{box: box, db: look}
	for range 2 {
		r.all = append(r.all, startServiceOn(t, db, slices.Concat(mail, []string{
			processKey, "AUTH_TRUSTED_PROXIES=127.0.0.0/8", "AUTH_LIMIT_LOGIN_PAIR=3/1h",
		}, settings)...))
	}
	return r
}

// requireOneService asserts that they are to callers what one is.
func (r *replicas) requireOneService(t *testing.T) {
	t.Helper()
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"Limits", r.limits},
		{"Sessions", r.sessions},
		{"Idempotency", r.idempotency},
		{"Ledger", r.ledger},
		{"Jobs", r.jobs},
	} {
		t.Run(step.name, step.do)
	}
}

// of returns each replica in turn.
func (r *replicas) of(i int) *service { return r.all[i%len(r.all)] }

// However attempts are spread, no more are let through than by one.
func (r *replicas) limits(t *testing.T) {
	t.Helper()
	user := r.of(0).user(t)
	from := func(address string) authclient.RequestEditorFn {
		return func(_ context.Context, q *http.Request) error { q.Header.Set("X-Forwarded-For", address); return nil }
	}
	var refused, limited atomic.Int64
	errs := make([]error, 12)
	parallel(len(errs), func(i int) {
		answer, err := r.of(i).anonymous(t).LogInWithResponse(t.Context(),
			authclient.LoginRequest{Email: user.session.User.Email, Password: "wrong"}, from("198.51.100.7"))
		switch {
		case err != nil:
			errs[i] = err
		case answer.StatusCode() == 401:
			refused.Add(1)
		case answer.StatusCode() == 429:
			limited.Add(1)
		}
	})
	requireNone(t, errs)
	require.EqualValues(t, 3, refused.Load())
	require.EqualValues(t, len(errs)-3, limited.Load())
	for i := range r.all {
		for address, want := range map[string]int{"198.51.100.7": 429, "198.51.100.8": 200} {
			answer, err := r.of(i).anonymous(t).LogInWithResponse(t.Context(),
				authclient.LoginRequest{Email: user.session.User.Email, Password: testPassword}, from(address))
			require.NoError(t, err)
			require.Equal(t, want, answer.StatusCode(), address)
		}
	}
}

// What one replica has begun the other goes on with, at once.
func (r *replicas) sessions(t *testing.T) {
	t.Helper()
	user := r.of(0).user(t)
	refresh := authclient.RefreshRequest{RefreshToken: user.session.RefreshToken}
	pair := make([]authclient.Session, 2)
	errs := make([]error, 2)
	parallel(2, func(i int) {
		answer, err := r.of(i).anonymous(t).RefreshSessionWithResponse(t.Context(), refresh)
		if errs[i] = err; err == nil && answer.JSON200 != nil {
			pair[i] = *answer.JSON200
		}
	})
	requireNone(t, errs)
	require.NotEmpty(t, pair[0].RefreshToken)
	require.Equal(t, pair[0].RefreshToken, pair[1].RefreshToken, "one exchange, repeated")

	// A rotation of the signing keys disturbs nobody.
	var out, problems bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"keys", "rotate"}, env{stdout: &out, stderr: &problems, environ: r.of(0).environ}), problems.String())
	answer, err := r.of(0).anonymous(t).RefreshSessionWithResponse(t.Context(), authclient.RefreshRequest{RefreshToken: pair[0].RefreshToken})
	require.NoError(t, err)
	require.NotNil(t, answer.JSON200, string(answer.Body))
	for _, session := range []authclient.Session{user.session, pair[0], *answer.JSON200} {
		for i := range r.all {
			me, err := r.of(i).withSession(t, session).GetMeWithResponse(t.Context())
			require.NoError(t, err)
			require.Equal(t, 200, me.StatusCode())
		}
	}
	left, err := r.of(1).withSession(t, *answer.JSON200).LogOutWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, 204, left.StatusCode())
	me, err := r.of(0).withSession(t, *answer.JSON200).GetMeWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, 401, me.StatusCode())
}

// A key is one request, wherever and however often it is sent.
func (r *replicas) idempotency(t *testing.T) {
	t.Helper()
	user := r.of(0).user(t)
	r.of(0).admin(t).grant(t, user.id(), 1000)
	key := uuid.NewString()
	bodies, errs := make([][]byte, 16), make([]error, 16)
	var replayed atomic.Int64
	parallel(len(bodies), func(i int) {
		answer, err := r.of(i).withSession(t, user.session).DebitMyCreditsWithResponse(t.Context(),
			&authclient.DebitMyCreditsParams{IdempotencyKey: key}, authclient.DebitRequest{Amount: 30})
		if errs[i] = err; err != nil {
			return
		}
		bodies[i] = answer.Body
		if answer.HTTPResponse.Header.Get("Idempotent-Replayed") == "true" {
			replayed.Add(1)
		}
	})
	requireNone(t, errs)
	for _, body := range bodies {
		require.Equal(t, string(bodies[0]), string(body))
	}
	require.EqualValues(t, len(bodies)-1, replayed.Load())
	other := r.of(1).withSession(t, user.session)
	require.EqualValues(t, 970, other.balance(t).Balance)
	require.Equal(t, 422, other.debit(t, key, authclient.DebitRequest{Amount: 31}).StatusCode())
}

// Credits add up, whoever moves them, and the chains are whole.
func (r *replicas) ledger(t *testing.T) {
	t.Helper()
	backend := r.of(0).admin(t).session
	users := make([]*caller, 4)
	balances := make([]atomic.Int64, len(users))
	for i := range users {
		users[i] = r.of(i).user(t)
		r.of(i).withSession(t, backend).grant(t, users[i].id(), 500)
		balances[i].Store(500)
	}
	const clients, moves = 16, 20
	errs := make([]error, clients)
	parallel(clients, func(client int) {
		rnd := rand.New(rand.NewPCG(1, uint64(client)))
		for move := range moves {
			from, to := rnd.IntN(len(users)), rnd.IntN(len(users)-1)
			if to >= from {
				to++
			}
			amount := 1 + rnd.Int64N(60)
			answer, err := r.move(t, r.of(client+move), backend, move, users[from], users[to], amount)
			switch {
			case err != nil:
				errs[client] = err
				return
			case answer == http.StatusPaymentRequired && move%3 != 0:
			case answer != http.StatusCreated && answer != http.StatusOK:
				errs[client] = fmt.Errorf("move %d of %d at %d: %d", move, client, (client+move)%2, answer)
				return
			default:
				if move%3 == 0 {
					balances[from].Add(amount)
					continue
				}
				balances[from].Add(-amount)
				if move%3 == 1 {
					balances[to].Add(amount)
				}
			}
		}
	})
	requireNone(t, errs)
	for i, user := range users {
		for _, replica := range r.all {
			require.Equal(t, balances[i].Load(), replica.withSession(t, user.session).balance(t).Balance)
		}
	}

	// What expires does so for all of them.
	soon := time.Now().Add(2 * time.Second)
	before := users[0].balance(t).Balance
	granted, err := r.of(0).withSession(t, backend).GrantUserCreditsWithResponse(t.Context(), users[0].id(),
		&authclient.GrantUserCreditsParams{IdempotencyKey: uuid.NewString()}, authclient.GrantRequest{Amount: 50, ExpiresAt: &soon})
	require.NoError(t, err)
	require.NotNil(t, granted.JSON201, string(granted.Body))
	for _, replica := range r.all {
		require.Eventually(t, func() bool { return replica.withSession(t, users[0].session).balance(t).Balance == before }, eventually, aMoment)
	}
	r.requireSound(t)
}

// move moves credits in one of the ways that there are, and returns the status.
func (r *replicas) move(t *testing.T, at *service, backend authclient.Session, way int, from, to *caller, amount int64) (status int, err error) {
	t.Helper()
	ctx, key := t.Context(), uuid.NewString()
	switch way % 3 {
	case 0:
		answer, err := at.withSession(t, backend).GrantUserCreditsWithResponse(ctx, from.id(),
			&authclient.GrantUserCreditsParams{IdempotencyKey: key}, authclient.GrantRequest{Amount: amount})
		if err != nil {
			return 0, err
		}
		return answer.StatusCode(), nil
	case 1:
		answer, err := at.withSession(t, backend).TransferCreditsWithResponse(ctx, &authclient.TransferCreditsParams{IdempotencyKey: key},
			authclient.TransferRequest{FromUserID: from.id(), ToUserID: to.id(), Amount: amount})
		if err != nil {
			return 0, err
		}
		return answer.StatusCode(), nil
	}
	answer, err := at.withSession(t, from.session).DebitMyCreditsWithResponse(ctx,
		&authclient.DebitMyCreditsParams{IdempotencyKey: key}, authclient.DebitRequest{Amount: amount})
	if err != nil {
		return 0, err
	}
	return answer.StatusCode(), nil
}

// requireSound runs `ledger verify`.
func (r *replicas) requireSound(t *testing.T) {
	t.Helper()
	var out, problems bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"ledger", "verify"}, env{stdout: &out, stderr: &problems, environ: r.of(0).environ}), problems.String())
	t.Log(out.String())
}

// Each job is done once, by one of them, and one leads.
func (r *replicas) jobs(t *testing.T) {
	t.Helper()
	emails := make([]string, 6)
	for i := range emails {
		emails[i] = r.of(i).user(t).session.User.Email
	}
	for _, email := range emails {
		mailed(t, r.box, email, "Confirm")
	}
	count := func(sql string) (n int) {
		require.NoError(t, r.db.QueryRow(t.Context(), sql).Scan(&n))
		return n
	}
	require.Eventually(t, func() bool {
		return count("SELECT count(DISTINCT kind) FROM river_job WHERE kind LIKE 'every:%' AND state = 'completed'") == 4
	}, eventually, aMoment)
	require.Eventually(t, func() bool {
		return count("SELECT count(*) FROM river_job WHERE kind = 'mail' AND state <> 'completed'") == 0
	}, eventually, aMoment)
	for _, email := range emails {
		require.Len(t, r.box.Messages(email), 1)
	}
	require.Equal(t, 1, count("SELECT count(*) FROM river_leader"))
	require.Equal(t, 1, count("SELECT max(n) FROM (SELECT count(*) AS n FROM river_job WHERE kind LIKE 'every:%' GROUP BY kind, date_trunc('minute', scheduled_at)) runs"))
}

func requireNone(t *testing.T, errs []error) {
	t.Helper()
	require.NoError(t, errors.Join(errs...))
}
