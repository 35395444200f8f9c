package ledgerproof

import (
	"flag"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/pgtest"
)

// How large the ledger is that BenchmarkVerify proves. It takes about a minute to
// make 200,000 transactions.
var (
	benchTransactions = flag.Int64("transactions", 20_000, "transactions of the ledger that is proved")
	benchAccounts     = flag.Int("accounts", 200, "its accounts")
)

// BenchmarkVerify proves a ledger of mostly debits, with a tenth of grants, and
// some holds, transfers and reversals, each under a key of its own.
func BenchmarkVerify(b *testing.B) {
	w := newWorld(pgtest.New(b).Pool)
	w.ledger = creditledger.New(w.pool, creditledger.Options{})
	users := make([]uuid.UUID, *benchAccounts)
	for i := range users {
		users[i] = w.open(b)
	}
	var made atomic.Int64
	var clients sync.WaitGroup
	for client := range 256 {
		clients.Go(func() {
			r := rand.New(rand.NewPCG(uint64(client), 1))
			for made.Load() < *benchTransactions {
				made.Add(w.anything(b, r, users))
			}
		})
	}
	clients.Wait()
	_, err := w.pool.Exec(b.Context(), "ANALYZE")
	require.NoError(b, err)

	var transactions int64
	for b.Loop() {
		report, err := Verify(b.Context(), w.pool, Options{})
		require.NoError(b, err)
		transactions += report.Transactions
	}
	b.ReportMetric(float64(transactions)/b.Elapsed().Seconds(), "transactions/s")
}

// anything does something that may be refused, and returns how many transactions it made.
func (w *world) anything(t testing.TB, r *rand.Rand, users []uuid.UUID) (made int64) {
	t.Helper()
	ctx, user := t.Context(), pick(r, users)
	var err error
	switch n := r.IntN(100); {
	case n < 10:
		made = 1
		_, err = w.ledger.Grant(ctx, w.request(), creditledger.GrantParams{UserID: user, Amount: 1000, Priority: 50})
	case n < 13:
		made = 2
		_, err = w.ledger.Transfer(ctx, w.request(), creditledger.TransferParams{FromUserID: user, ToUserID: pick(r, users), Amount: 5})
	case n < 20:
		var h creditledger.HoldReceipt
		h, err = w.ledger.Hold(ctx, w.request(), creditledger.HoldParams{UserID: user, Amount: 10, ExpiresIn: time.Hour})
		if err != nil {
			return 0
		}
		made = 1
		_, err = w.ledger.CaptureHold(ctx, w.request(), h.Hold.ID, creditledger.CaptureParams{Final: true})
	case n < 22:
		var d creditledger.Receipt
		d, err = w.ledger.Debit(ctx, w.request(), creditledger.DebitParams{UserID: user, Amount: 10})
		if err != nil {
			return 0
		}
		made = 2
		_, err = w.ledger.Reverse(ctx, w.request(), d.Transaction.ID, creditledger.ReversalParams{})
	default:
		p := creditledger.DebitParams{UserID: user, Amount: 1 + r.Int64N(20), Reference: ptr("order-" + strconv.Itoa(r.IntN(1_000_000)))}
		if n < 40 {
			p.Note = creditledger.Note{Description: ptr("something that was bought"), Metadata: []byte(`{"sku":"x-1"}`)}
		}
		made = 1
		_, err = w.ledger.Debit(ctx, w.request(), p)
	}
	if err != nil {
		return 0
	}
	return made
}
