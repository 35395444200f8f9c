package creditledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

// Everything at once, from two replicas whose clocks differ: every kind of
// request, many of them sent again, while the first is under way and afterwards,
// to the same replica and to the other. What all must come to is said by
// prooftest.RequireSound, which setup runs at the end of each test; that time never
// ran backwards, by requireWitness.
func TestLedger_Storm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ accounts, clients, requests int }{
		{1, 32, 6},
		{16, 32, 8},
		{1000, 32, 14},
	} {
		t.Run(fmt.Sprint(c.accounts), func(t *testing.T) {
			t.Parallel()
			s := newStorm(t, c.accounts)
			for round := uint64(1); ; round++ {
				unexpected := make([]error, c.clients)
				atOnce(c.clients, func(client int) {
					rnd := rand.New(rand.NewPCG(round, uint64(client)))
					for range c.requests {
						unexpected[client] = errors.Join(unexpected[client], s.request(t, rnd))
					}
				})
				require.NoError(t, errors.Join(unexpected...))
				missing := s.missingKinds(t)
				if len(missing) == 0 {
					break
				}
				require.Less(t, round, uint64(20), "the storm is too quiet: no %v", missing)
			}
			requireWitness(t, s.witnessed)
		})
	}
}

// storm is two replicas, and what their clients saw.
type storm struct {
	*bundle
	replicas [2]*creditledger.Ledger
	player   *player

	mu        sync.Mutex
	witnessed []witnessed
}

// newStorm makes accounts with some credits each.
func newStorm(t *testing.T, accounts int) *storm {
	t.Helper()
	// Milliseconds pass between any two readings of a clock.
	clocks := [2]*clock{{at: epoch, tick: time.Millisecond}, {at: epoch.Add(-50 * time.Millisecond), tick: time.Millisecond}}
	s := &storm{bundle: setup(t), player: &player{now: clocks[0].Now}}
	for i, c := range clocks {
		s.replicas[i] = creditledger.New(s.db.Pool, creditledger.Options{Now: c.Now})
	}
	s.player.accounts = s.openAccounts(t, accounts)
	grants := make([]creditledger.BulkOperation, accounts)
	for i, id := range s.player.accounts {
		grants[i] = creditledger.GrantParams{UserID: id, Amount: 60}
	}
	_, err := s.replicas[0].Bulk(t.Context(), s.bundle.request(), true, grants)
	require.NoError(t, err)
	return s
}

// openAccounts opens many accounts.
func (b *bundle) openAccounts(t *testing.T, n int) []uuid.UUID {
	t.Helper()
	ids, emails := make([]uuid.UUID, n), make([]string, n)
	for i := range ids {
		ids[i] = uuid.New()
		emails[i] = ids[i].String() + "@example.com"
	}
	require.NoError(t, pgx.BeginFunc(t.Context(), b.db.Pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO users (id, email, created_at, updated_at)
			SELECT u.id, u.email, $3, $3 FROM unnest($1::uuid[], $2::text[]) AS u (id, email)`, ids, emails, epoch.Add(-time.Hour))
		if err != nil {
			return err
		}
		_, err = tx.Exec(t.Context(), `INSERT INTO credit_accounts (user_id, created_at, updated_at)
			SELECT u.id, $2, $2 FROM unnest($1::uuid[]) AS u (id)`, ids, epoch.Add(-time.Hour))
		return err
	}))
	return ids
}

// request sends a request once or several times, and requires that one of the
// answers is the first and all others say the same.
func (s *storm) request(t *testing.T, rnd *rand.Rand) error {
	t.Helper()
	if rnd.IntN(8) == 0 {
		return s.read(t, rnd)
	}
	ask := s.player.draw(rnd, s.bundle.request())
	w := witnessed{sent: s.tick()}
	answers := make([]answer, 1+rnd.IntN(3))
	first := 1 // of them at once, the others afterwards
	if rnd.IntN(2) == 0 {
		first = len(answers)
	}
	replica := rnd.IntN(2)
	var acknowledged atomic.Int64
	atOnce(first, func(i int) {
		answers[i] = ask(t, s.replicas[(replica+i)%2])
		acknowledged.CompareAndSwap(0, s.tick())
	})
	w.acknowledged = acknowledged.Load()
	for i := first; i < len(answers); i++ {
		answers[i] = ask(t, s.replicas[rnd.IntN(2)])
	}

	firsts := 0
	for _, a := range answers {
		if !isExpected(a.err) {
			return a.err
		}
		if !a.isKept() {
			return nil
		}
		if !a.isReplay() {
			firsts++
		}
		requireSameAnswer(t, answers[0], a)
	}
	if firsts != 1 {
		return fmt.Errorf("done %d times", firsts)
	}
	s.player.learn(answers[0])
	w.learn(answers[0])
	s.witness(w)
	return nil
}

// read reads a balance.
func (s *storm) read(t *testing.T, rnd *rand.Rand) error {
	t.Helper()
	w := witnessed{sent: s.tick()}
	b, err := s.replicas[rnd.IntN(2)].Balance(t.Context(), s.player.account(rnd))
	w.acknowledged = s.tick()
	if err != nil {
		return err
	}
	if b.Balance < 0 || b.Held < 0 || b.Held > b.Balance {
		return fmt.Errorf("read a balance of %d, of which %d are held", b.Balance, b.Held)
	}
	w.places = []place{{b.UserID, 2*b.UpdatedAt.UnixMicro() + 1}} // just behind the newest record
	s.witness(w)
	return nil
}

// missingKinds is what has not happened yet.
func (s *storm) missingKinds(t *testing.T) (missing []string) {
	t.Helper()
	kinds := map[string]int{}
	rows, err := s.db.Pool.Query(t.Context(), `
		SELECT type, count(*) FROM credit_transactions GROUP BY type
		UNION ALL
		SELECT type, count(*) FROM credit_hold_events GROUP BY type`)
	require.NoError(t, err)
	var kind string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&kind, &n}, func() error { kinds[kind] = n; return nil })
	require.NoError(t, err)
	want := []string{"grant", "debit", "capture", "reversal", "expiry", "revocation", "placed", "incremented", "captured", "voided", "expired"}
	if len(s.player.accounts) > 1 {
		want = append(want, "transfer_in", "transfer_out")
	}
	for _, kind := range want {
		if kinds[kind] == 0 {
			missing = append(missing, kind)
		}
	}
	return missing
}
