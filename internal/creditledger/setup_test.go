package creditledger_test

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/ledgerproof/prooftest"
	"github.com/authservice/authservice/internal/pgtest"
)

// epoch is when the clocks of the tests start. Accounts are opened an hour before.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// bundle is a ledger with a clock, and a user who has an empty account.
type bundle struct {
	db     *pgtest.Database
	ledger *creditledger.Ledger
	clock  *clock
	caller creditledger.Actor
	userID uuid.UUID
}

// T is what *testing.T and *rapid.T have in common.
type T interface {
	require.TestingT
	Helper()
	Context() context.Context
}

// setup makes a bundle on a database of its own. When the test is over, the
// invariants of all its accounts are checked, whatever the test was about.
func setup(t *testing.T) *bundle {
	t.Helper()
	db := pgtest.New(t)
	t.Cleanup(func() {
		if !t.Failed() {
			prooftest.RequireSound(t, db.Pool)
		}
	})
	return (&bundle{db: db}).fork(t)
}

// fork makes another bundle on the same database: a caller, a user and a clock
// that other subtests do not meet.
func (b *bundle) fork(t T) *bundle {
	t.Helper()
	c := &clock{at: epoch.Add(-time.Hour)}
	f := &bundle{
		db: b.db, clock: c, ledger: creditledger.New(b.db.Pool, creditledger.Options{Now: c.Now}),
		caller: creditledger.Actor{Type: creditledger.ActorAPIKey, ID: uuid.New()},
	}
	f.userID = f.openAccount(t, uuid.New())
	c.Set(epoch)
	return f
}

func (b *bundle) openAccount(t T, userID uuid.UUID) uuid.UUID {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), b.db.Pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "INSERT INTO users (id, email, created_at, updated_at) VALUES ($1, $2, $3, $3)",
			userID, userID.String()+"@example.com", b.clock.Now())
		if err != nil {
			return err
		}
		return b.ledger.OpenAccount(t.Context(), tx, userID)
	})
	require.NoError(t, err)
	return userID
}

// clock is a clock that tests set. It stands still unless it has a tick.
type clock struct {
	mu     sync.Mutex
	at     time.Time
	tick   time.Duration // goes on by this much at each reading
	onRead func()
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.onRead != nil {
		c.onRead()
	}
	c.at = c.at.Add(c.tick)
	return c.at
}

func (c *clock) Set(at time.Time) { c.mu.Lock(); defer c.mu.Unlock(); c.at = at }

func (c *clock) Advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

// request is a request of the bundle's caller that was not made before.
func (b *bundle) request() creditledger.Request {
	key := uuid.New()
	return creditledger.Request{
		Actor: b.caller, Key: key.String(), Fingerprint: [32]byte(append(key[:], key[:]...)), Refusal: refusal,
	}
}

// refusal answers the same refusal with other bytes each time, as problems with
// a request id do.
func refusal(e *apperr.Error) (status int, body []byte) {
	body, _ = json.Marshal(map[string]any{"code": e.Code, "request_id": uuid.New()})
	switch e.Kind {
	case apperr.InsufficientCredits:
		return http.StatusPaymentRequired, body
	case apperr.NotFound:
		return http.StatusNotFound, body
	case apperr.Conflict:
		return http.StatusConflict, body
	case apperr.Invalid:
		return http.StatusUnprocessableEntity, body
	default:
		return http.StatusInternalServerError, body
	}
}

// grant gives credits to the bundle's user.
func (b *bundle) grant(t T, g creditledger.GrantParams) creditledger.Transaction {
	t.Helper()
	g.UserID = b.userID
	r, err := b.ledger.Grant(t.Context(), b.request(), g)
	require.NoError(t, err)
	return r.Transaction
}

// debit takes credits of the bundle's user.
func (b *bundle) debit(t T, amount int64) (creditledger.Transaction, error) {
	t.Helper()
	r, err := b.ledger.Debit(t.Context(), b.request(), creditledger.DebitParams{UserID: b.userID, Amount: amount})
	return r.Transaction, err
}

// debitPartly takes what there is, up to amount.
func (b *bundle) debitPartly(t T, amount int64) (creditledger.Transaction, error) {
	t.Helper()
	r, err := b.ledger.Debit(t.Context(), b.request(), creditledger.DebitParams{UserID: b.userID, Amount: amount, AllowPartial: true})
	return r.Transaction, err
}

func (b *bundle) balance(t T) creditledger.Balance {
	t.Helper()
	balance, err := b.ledger.Balance(t.Context(), b.userID)
	require.NoError(t, err)
	return balance
}

// history is all transactions of the bundle's user, oldest first.
func (b *bundle) history(t T) []creditledger.Transaction {
	t.Helper()
	page, more, err := b.ledger.Transactions(t.Context(), b.userID, creditledger.TransactionFilter{Limit: 10_000})
	require.NoError(t, err)
	require.False(t, more)
	oldestFirst := make([]creditledger.Transaction, len(page))
	for i, x := range page {
		oldestFirst[len(page)-1-i] = x
	}
	return oldestFirst
}

// grants is all grants of the bundle's user, newest first.
func (b *bundle) grants(t T) []creditledger.Grant {
	t.Helper()
	page, more, err := b.ledger.Grants(t.Context(), b.userID, creditledger.GrantPlace{}, 10_000)
	require.NoError(t, err)
	require.False(t, more)
	return page
}

// requireSame compares transactions in all that a caller of the package sees.
func requireSame(t T, want, got any) {
	t.Helper()
	diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(creditledger.Transaction{}), cmpopts.EquateEmpty())
	require.Empty(t, diff)
}

// requireShortfall requires a refusal for want of credits, and its figures.
func requireShortfall(t T, err error, required, available int64) {
	t.Helper()
	require.ErrorIs(t, err, creditledger.ErrInsufficientCredits)
	require.Empty(t, cmp.Diff(&apperr.Shortfall{Required: required, Available: available}, apperr.From(err).Shortfall))
}

func ptr[V any](v V) *V { return &v }

// in is the time so long after the clocks' start.
func in(d time.Duration) *time.Time { return ptr(epoch.Add(d)) }
