package ledgerproof

import (
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// epoch is when the clocks of the tests start.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a ledger that tests fill, with a clock and a caller.
type world struct {
	pool         *pgxpool.Pool
	ledger       *creditledger.Ledger
	checkpointer *Checkpointer
	clock        *clock
	caller       creditledger.Actor
}

func newWorld(pool *pgxpool.Pool) *world {
	w := &world{pool: pool, clock: &clock{at: epoch}, caller: creditledger.Actor{Type: creditledger.ActorAPIKey, ID: uuid.New()}}
	w.ledger = creditledger.New(pool, creditledger.Options{Now: w.clock.Now})
	w.checkpointer = NewCheckpointer(pool, make([]byte, 32), w.clock.Now)
	return w
}

// clock is a clock that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) Advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

// open makes a user with an empty account.
func (w *world) open(t testing.TB) uuid.UUID {
	t.Helper()
	userID := uuid.Must(uuid.NewV7())
	w.inTx(t, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "INSERT INTO users (id, email, created_at, updated_at) VALUES ($1, $2, $3, $3)",
			userID, userID.String()+"@example.com", w.clock.Now())
		if err != nil {
			return err
		}
		return w.ledger.OpenAccount(t.Context(), tx, userID)
	})
	w.clock.Advance(time.Second)
	return userID
}

func (w *world) close(t testing.TB, userID uuid.UUID) {
	t.Helper()
	w.inTx(t, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "UPDATE users SET email = NULL, deleted_at = $2 WHERE id = $1", userID, w.clock.Now())
		if err != nil {
			return err
		}
		return w.ledger.CloseAccount(t.Context(), tx, userID)
	})
}

func (w *world) inTx(t testing.TB, do func(pgx.Tx) error) {
	t.Helper()
	require.NoError(t, pgx.BeginFunc(t.Context(), w.pool, do))
}

// request is one that was not made before.
func (w *world) request() creditledger.Request {
	key := uuid.New()
	return creditledger.Request{
		Actor: w.caller, Key: key.String(), Fingerprint: [32]byte(append(key[:], key[:]...)),
		Refusal: func(e *apperr.Error) (int, []byte) {
			body, _ := json.Marshal(map[string]string{"code": e.Code})
			return http.StatusConflict, body
		},
	}
}

func (w *world) grant(t testing.TB, g creditledger.GrantParams) creditledger.Transaction {
	t.Helper()
	r, err := w.ledger.Grant(t.Context(), w.request(), g)
	require.NoError(t, err)
	w.clock.Advance(time.Second)
	return r.Transaction
}

func (w *world) debit(t testing.TB, userID uuid.UUID, amount int64) creditledger.Transaction {
	t.Helper()
	r, err := w.ledger.Debit(t.Context(), w.request(), creditledger.DebitParams{UserID: userID, Amount: amount})
	require.NoError(t, err)
	w.clock.Advance(time.Second)
	return r.Transaction
}

func (w *world) hold(t testing.TB, p creditledger.HoldParams) uuid.UUID {
	t.Helper()
	if p.ExpiresIn == 0 {
		p.ExpiresIn = time.Hour
	}
	r, err := w.ledger.Hold(t.Context(), w.request(), p)
	require.NoError(t, err)
	w.clock.Advance(time.Second)
	return r.Hold.ID
}

func (w *world) increment(t testing.TB, holdID uuid.UUID, amount int64) {
	t.Helper()
	_, err := w.ledger.IncrementHold(t.Context(), w.request(), holdID, amount)
	require.NoError(t, err)
	w.clock.Advance(time.Second)
}

// capture captures amount, or all that is left for 0.
func (w *world) capture(t testing.TB, holdID uuid.UUID, amount int64, final bool) uuid.UUID {
	t.Helper()
	p := creditledger.CaptureParams{Final: final}
	if amount > 0 {
		p.Amount = &amount
	}
	r, err := w.ledger.CaptureHold(t.Context(), w.request(), holdID, p)
	require.NoError(t, err)
	w.clock.Advance(time.Second)
	return *r.Hold.TransactionID
}

func (w *world) void(t testing.TB, holdID uuid.UUID) {
	t.Helper()
	_, err := w.ledger.VoidHold(t.Context(), w.request(), holdID)
	require.NoError(t, err)
	w.clock.Advance(time.Second)
}

// reverse gives back amount, or all that is left for 0.
func (w *world) reverse(t testing.TB, transactionID uuid.UUID, amount int64) {
	t.Helper()
	p := creditledger.ReversalParams{Description: ptr("a mistake")}
	if amount > 0 {
		p.Amount = &amount
	}
	_, err := w.ledger.Reverse(t.Context(), w.request(), transactionID, p)
	require.NoError(t, err)
	w.clock.Advance(time.Second)
}

func (w *world) revoke(t testing.TB, grantID uuid.UUID) {
	t.Helper()
	_, err := w.ledger.RevokeGrant(t.Context(), w.request(), grantID)
	require.NoError(t, err)
	w.clock.Advance(time.Second)
}

func (w *world) transfer(t testing.TB, p creditledger.TransferParams) {
	t.Helper()
	_, err := w.ledger.Transfer(t.Context(), w.request(), p)
	require.NoError(t, err)
	w.clock.Advance(time.Second)
}

func (w *world) checkpoint(t testing.TB) Checkpoint {
	t.Helper()
	c, err := w.checkpointer.Checkpoint(t.Context())
	require.NoError(t, err)
	w.clock.Advance(time.Second)
	return c
}

func ptr[V any](v V) *V { return &v }

// filled is a ledger in which everything has happened that can happen.
type filled struct {
	*world
	ada, bob, cy, dan, eve uuid.UUID
	checkpoints            []Checkpoint        // as they were printed
	states                 []map[string]string // all tables at each of them, as JSON
}

// keep makes a checkpoint, and keeps it with the state of the ledger.
func (f *filled) keep(t testing.TB) {
	t.Helper()
	f.checkpoints = append(f.checkpoints, f.checkpoint(t))
	state := map[string]string{}
	for _, table := range tables {
		var rows string
		require.NoError(t, f.pool.QueryRow(t.Context(), "SELECT coalesce(json_agg(row_to_json(x)), '[]')::text FROM "+table+" x").Scan(&rows))
		state[table] = rows
	}
	f.states = append(f.states, state)
}

// fill makes all kinds of records: in Ada's account most, in those of the others
// what needs two, in Dan's little; Eve's was closed.
func fill(t testing.TB, pool *pgxpool.Pool) *filled {
	t.Helper()
	w := newWorld(pool)
	f := &filled{world: w}
	for _, id := range []*uuid.UUID{&f.ada, &f.bob, &f.cy, &f.dan, &f.eve} {
		*id = w.open(t)
	}
	in := func(d time.Duration) *time.Time { return ptr(w.clock.Now().Add(d)) }
	note := creditledger.Note{Description: ptr("for the summer"), Metadata: json.RawMessage(`{"season":"summer"}`)}

	first := w.grant(t, creditledger.GrantParams{UserID: f.ada, Amount: 1000, Priority: 50, Reference: ptr("invoice-1"), Note: note})
	w.grant(t, creditledger.GrantParams{UserID: f.ada, Amount: 100, Priority: 10, ExpiresAt: in(24 * time.Hour)})
	w.grant(t, creditledger.GrantParams{UserID: f.ada, Amount: 200, Priority: 10, ExpiresAt: in(48 * time.Hour)})
	late := w.grant(t, creditledger.GrantParams{UserID: f.ada, Amount: 300, Priority: 90, Note: creditledger.Note{Description: ptr("a gift")}})
	for _, id := range []uuid.UUID{f.bob, f.cy, f.eve} {
		w.grant(t, creditledger.GrantParams{UserID: id, Amount: 500, Priority: 50, Note: note})
	}

	across := w.debit(t, f.ada, 150) // of two grants
	w.reverse(t, across.ID, 60)
	w.reverse(t, across.ID, 0)
	part, err := w.ledger.Debit(t.Context(), w.request(), creditledger.DebitParams{
		UserID: f.eve, Amount: 10_000, AllowPartial: true, Reference: ptr("order-1"), Note: note,
	})
	require.NoError(t, err)
	require.Equal(t, int64(-500), part.Transaction.Amount)
	_, err = w.ledger.Debit(t.Context(), w.request(), creditledger.DebitParams{UserID: f.eve, Amount: 1})
	require.ErrorIs(t, err, creditledger.ErrInsufficientCredits)
	w.close(t, f.eve)
	f.keep(t)

	captured := w.hold(t, creditledger.HoldParams{UserID: f.ada, Amount: 120, Reference: ptr("ride-1"), Note: note})
	voided := w.hold(t, creditledger.HoldParams{UserID: f.ada, Amount: 50})
	w.increment(t, captured, 30)
	undone := w.capture(t, captured, 40, false)
	w.capture(t, captured, 100, true) // lets go of 10
	w.reverse(t, undone, 25)
	w.void(t, voided)
	w.hold(t, creditledger.HoldParams{UserID: f.ada, Amount: 70, ExpiresIn: time.Minute, Reference: ptr("ride-2")})
	w.clock.Advance(time.Hour) // it has expired
	w.debit(t, f.ada, 5)

	w.transfer(t, creditledger.TransferParams{FromUserID: f.ada, ToUserID: f.bob, Amount: 200, Reference: ptr("gift-1"), Note: note})
	w.transfer(t, creditledger.TransferParams{FromUserID: f.bob, ToUserID: f.cy, Amount: 10})

	_, err = w.ledger.Bulk(t.Context(), w.request(), false, []creditledger.BulkOperation{
		creditledger.GrantParams{UserID: f.cy, Amount: 7},
		creditledger.DebitParams{UserID: f.ada, Amount: 3},
		creditledger.DebitParams{UserID: f.bob, Amount: 1_000_000},
		creditledger.TransferParams{FromUserID: f.cy, ToUserID: f.ada, Amount: 2},
		creditledger.DebitParams{UserID: f.ada, Amount: 4},
	})
	require.NoError(t, err)
	w.clock.Advance(time.Second)
	_, err = w.ledger.Bulk(t.Context(), w.request(), true, []creditledger.BulkOperation{
		creditledger.DebitParams{UserID: f.bob, Amount: 3},
		creditledger.DebitParams{UserID: f.cy, Amount: 3},
	})
	require.NoError(t, err)
	w.clock.Advance(time.Second)

	f.keep(t)

	w.grant(t, creditledger.GrantParams{UserID: f.ada, Amount: 40, Priority: 95, ExpiresAt: in(10 * time.Hour)})
	// A hold outlives the revocation and the expiry of what it pins.
	w.reverse(t, first.ID, 50)
	ada, err := w.ledger.Balance(t.Context(), f.ada)
	require.NoError(t, err)
	pinning := w.hold(t, creditledger.HoldParams{UserID: f.ada, Amount: ada.Available() - 140, ExpiresIn: 1000 * time.Hour})
	w.revoke(t, *late.GrantID)
	w.clock.Advance(72 * time.Hour)
	w.void(t, pinning)
	w.debit(t, f.ada, 100)
	w.hold(t, creditledger.HoldParams{UserID: f.ada, Amount: 11, ExpiresIn: 1000 * time.Hour, Note: note})
	w.hold(t, creditledger.HoldParams{UserID: f.bob, Amount: 12, ExpiresIn: 1000 * time.Hour})
	w.debit(t, f.cy, 2)
	f.keep(t)
	w.debit(t, f.cy, 1)
	for range 2 {
		w.grant(t, creditledger.GrantParams{UserID: f.dan, Amount: 500})
	}
	return f
}
