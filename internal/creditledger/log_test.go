package creditledger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

// logbook keeps lines, and who asked for what they tell of.
type logbook struct {
	slog.Handler
	mu    sync.Mutex
	buf   bytes.Buffer
	asked []any
}

type askedKey struct{}

func newLogbook() *logbook {
	l := &logbook{}
	l.Handler = slog.NewJSONHandler(&l.buf, nil)
	return l
}

func (l *logbook) Handle(ctx context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, ctx.Value(askedKey{}))
	return l.Handler.Handle(ctx, r)
}

// take returns the lines since the last time, as "who: action amount".
func (l *logbook) take(t *testing.T) (lines []string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.buf.String()) {
		var content struct {
			Action string `json:"event.action"`
			User   string `json:"user.id"`
			Actor  string `json:"authservice.actor.type"`
			By     string `json:"authservice.actor.id"`
			Amount int64  `json:"authservice.transaction.amount"`
			Hold   int64  `json:"authservice.hold.amount"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &content))
		require.NotEmpty(t, content.User)
		require.Equal(t, content.Actor != "system", content.By != "")
		by, _ := l.asked[len(lines)].(string)
		text, err := json.Marshal(content.Amount + content.Hold)
		require.NoError(t, err)
		lines = append(lines, strings.TrimSpace(by+" "+content.Actor)+": "+content.Action+" "+string(text))
	}
	l.buf.Reset()
	l.asked = nil
	slices.Sort(lines)
	return lines
}

// Everything that moves or holds credits leaves a line, on behalf of whoever asked
// for it, once.
func TestLedger_Log(t *testing.T) {
	t.Parallel()
	b := setup(t)
	book := newLogbook()
	b.ledger = creditledger.New(b.db.Pool, creditledger.Options{Now: b.clock.Now, Log: slog.New(book)})
	ada := context.WithValue(t.Context(), askedKey{}, "ada")
	grant, err := b.ledger.Grant(ada, b.request(), creditledger.GrantParams{UserID: b.userID, Amount: 100})
	require.NoError(t, err)
	require.Equal(t, []string{"ada api_key: credits_granted 100"}, book.take(t))

	again := b.request()
	for range 2 {
		_, err = b.ledger.Debit(ada, again, creditledger.DebitParams{UserID: b.userID, Amount: 10})
		require.NoError(t, err)
	}
	require.Equal(t, []string{"ada api_key: credits_debited -10"}, book.take(t), "a replay is nothing new")

	_, err = b.ledger.Debit(ada, b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 1000})
	require.ErrorIs(t, err, creditledger.ErrInsufficientCredits)
	require.Empty(t, book.take(t), "a refusal moves nothing")

	held, err := b.ledger.Hold(ada, b.request(), creditledger.HoldParams{UserID: b.userID, Amount: 20, ExpiresIn: time.Hour})
	require.NoError(t, err)
	_, err = b.ledger.CaptureHold(ada, b.request(), held.Hold.ID, creditledger.CaptureParams{Final: true})
	require.NoError(t, err)
	require.Equal(t, []string{"ada api_key: credits_captured -20", "ada api_key: hold_captured 20", "ada api_key: hold_placed 20"}, book.take(t))

	bob := b.openAccount(t, uuid.New())
	_, err = b.ledger.Transfer(ada, b.request(), creditledger.TransferParams{FromUserID: b.userID, ToUserID: bob, Amount: 5})
	require.NoError(t, err)
	require.Equal(t, []string{"ada api_key: credits_received 5", "ada api_key: credits_sent -5"}, book.take(t))

	_, err = b.ledger.Bulk(ada, b.request(), false, []creditledger.BulkOperation{
		creditledger.DebitParams{UserID: b.userID, Amount: 1}, creditledger.DebitParams{UserID: bob, Amount: 1000}, creditledger.DebitParams{UserID: bob, Amount: 2},
	})
	require.NoError(t, err)
	require.Equal(t, []string{"ada api_key: credits_debited -1", "ada api_key: credits_debited -2"}, book.take(t))

	_, err = b.ledger.RevokeGrant(ada, b.request(), *grant.Transaction.GrantID)
	require.NoError(t, err)
	require.Equal(t, []string{"ada api_key: credits_revoked -64"}, book.take(t))

	// What expires is nobody's doing, whoever's posting it is noticed by.
	soon := b.clock.Now().Add(time.Minute)
	_, err = b.ledger.Grant(ada, b.request(), creditledger.GrantParams{UserID: b.userID, Amount: 7, ExpiresAt: &soon})
	require.NoError(t, err)
	b.clock.Advance(time.Hour)
	_, err = b.ledger.Grant(ada, b.request(), creditledger.GrantParams{UserID: b.userID, Amount: 1})
	require.NoError(t, err)
	require.Equal(t, []string{"ada api_key: credits_granted 1", "ada api_key: credits_granted 7", "system: credits_expired -7"}, book.take(t))
}

// Whoever hangs up while a posting is under way leaves its line all the same.
func TestLedger_LogOfWhoHungUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 100})
	book := newLogbook()
	ledger := creditledger.New(b.db.Pool, creditledger.Options{Now: b.clock.Now, Log: slog.New(book)})
	unlock := b.lockAccount(t, b.userID)
	ctx, hangUp := context.WithCancel(context.WithValue(t.Context(), askedKey{}, "ada"))
	gone := make(chan error, 1)
	go func() {
		_, err := ledger.Debit(ctx, b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 1})
		gone <- err
	}()
	b.requireWaiting(t, "CreditAccountLock")
	hangUp()
	require.ErrorIs(t, <-gone, context.Canceled)
	unlock()
	require.Eventually(t, func() bool {
		book.mu.Lock()
		defer book.mu.Unlock()
		return len(book.asked) > 0
	}, 20*time.Second, 5*time.Millisecond)
	require.Equal(t, []string{"ada api_key: credits_debited -1"}, book.take(t))
}

// Who shares a batch hears of it before they go on.
func TestLedger_Together(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var begun, ended []int
	ledger := creditledger.New(b.db.Pool, creditledger.Options{
		Now: b.clock.Now,
		Together: func(ctx context.Context, callers []context.Context) (context.Context, func()) {
			begun = append(begun, len(callers))
			require.Equal(t, "ada", callers[0].Value(askedKey{}))
			return ctx, func() { ended = append(ended, len(callers)) }
		},
	})
	ada := context.WithValue(t.Context(), askedKey{}, "ada")
	_, err := ledger.Grant(ada, b.request(), creditledger.GrantParams{UserID: b.userID, Amount: 100})
	require.NoError(t, err)
	require.Equal(t, []int{1}, begun)
	require.Equal(t, []int{1}, ended)
}
