package creditledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/creditledger"
)

func TestLedger_DebitsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 35})
	b.grant(t, creditledger.GrantParams{Amount: 65})
	errs := make([]error, 64)
	atOnce(len(errs), func(i int) {
		_, errs[i] = b.ledger.Debit(t.Context(), b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 10})
	})

	applied := 0
	for _, err := range errs {
		if err == nil {
			applied++
			continue
		}
		requireShortfall(t, err, 10, 0)
	}
	require.Equal(t, 10, applied)
	require.Zero(t, b.balance(t).Balance)

	history, balance := b.history(t), int64(0)
	require.Len(t, history, 12)
	for i, x := range history {
		balance += x.Amount
		require.Equal(t, int64(i+1), x.Sequence)
		require.Equal(t, balance, x.BalanceAfter)
		if i >= 2 {
			require.Equal(t, int64(-10), x.Amount)
		}
	}
	require.Zero(t, balance)
}

func TestLedger_PartialDebitsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 25})
	taken := make([]int64, 16)
	errs := make([]error, len(taken))
	atOnce(len(taken), func(i int) {
		r, err := b.ledger.Debit(t.Context(), b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 10, AllowPartial: true})
		taken[i], errs[i] = -r.Transaction.Amount, err
	})
	count := map[int64]int{}
	for i, err := range errs {
		if err != nil {
			requireShortfall(t, err, 10, 0)
		}
		count[taken[i]]++
	}
	require.Equal(t, map[int64]int{10: 2, 5: 1, 0: 13}, count)
}

// Everything at once, from two replicas whose clocks differ. What it must
// come to is said by requireInvariants, which setup runs at the end of each test.
func TestLedger_Storm(t *testing.T) {
	t.Parallel()
	const accounts, clients, requests = 16, 32, 30
	b := setup(t)
	bundles := make([]*bundle, accounts)
	for i := range bundles {
		bundles[i] = b.fork(t)
	}
	// Milliseconds pass between any two postings.
	clocks := [2]*clock{{at: epoch, tick: time.Millisecond}, {at: epoch.Add(-50 * time.Millisecond), tick: time.Millisecond}}
	replicas := [2]*creditledger.Ledger{creditledger.New(b.db.Pool, creditledger.Options{Now: clocks[0].Now}), creditledger.New(b.db.Pool, creditledger.Options{Now: clocks[1].Now})}

	unexpected := make([]error, clients)
	atOnce(clients, func(client int) {
		rnd := rand.New(rand.NewPCG(1, uint64(client)))
		replica, clock := replicas[client%2], clocks[client%2]
		for range requests {
			a := bundles[rnd.IntN(accounts)]
			send := randomRequest(rnd, replica, a, clock)
			for range 1 + rnd.IntN(2) { // many are sent twice
				_, err := send(t)
				if kind := apperr.From(err).Kind; err != nil && !isReplayed(err) && kind != apperr.InsufficientCredits && kind != apperr.Invalid {
					unexpected[client] = errors.Join(unexpected[client], err)
				}
			}
		}
	})
	require.NoError(t, errors.Join(unexpected...))

	byType := map[creditledger.TransactionType]int{}
	for _, a := range bundles {
		for _, x := range a.history(t) {
			byType[x.Type]++
		}
	}
	for _, typ := range []creditledger.TransactionType{creditledger.TypeGrant, creditledger.TypeDebit, creditledger.TypeExpiry} {
		require.Greater(t, byType[typ], 20, "the storm is too quiet: %v", byType)
	}
}

func randomRequest(rnd *rand.Rand, l *creditledger.Ledger, a *bundle, clock *clock) func(T) (creditledger.Receipt, error) {
	r, note := a.request(), creditledger.Note{}
	if rnd.IntN(2) == 0 {
		note.Description = ptr(fmt.Sprint("text ", rnd.Uint32()))
	}
	if rnd.IntN(2) == 0 {
		note.Metadata = fmt.Appendf(nil, `{"n": %d}`, rnd.Uint32())
	}
	var reference *string
	if rnd.IntN(2) == 0 {
		reference = ptr(fmt.Sprint("order-", rnd.IntN(9)))
	}
	if rnd.IntN(3) == 0 {
		g := creditledger.GrantParams{UserID: a.userID, Amount: 1 + rnd.Int64N(50), Priority: int16(rnd.IntN(4)), Reference: reference, Note: note}
		if rnd.IntN(3) > 0 {
			g.ExpiresAt = ptr(clock.Now().Add(time.Duration(1+rnd.IntN(300_000)) * time.Microsecond))
		}
		return func(t T) (creditledger.Receipt, error) { return l.Grant(t.Context(), r, g) }
	}
	d := creditledger.DebitParams{UserID: a.userID, Amount: 1 + rnd.Int64N(40), AllowPartial: rnd.IntN(2) == 0, Reference: reference, Note: note}
	return func(t T) (creditledger.Receipt, error) { return l.Debit(t.Context(), r, d) }
}

func isReplayed(err error) bool {
	var refused *creditledger.Refused
	return errors.As(err, &refused) && refused.Replayed
}
