package creditledger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/pgtest"
)

// What a debit costs without HTTP, by 64 clients at once. For rates on durable
// storage see cmd/authbench: the tests' cluster does not wait for the disk.
func BenchmarkLedger_Debit(b *testing.B) {
	for _, accounts := range []int{1, 1000} {
		b.Run(fmt.Sprintf("accounts=%d", accounts), func(b *testing.B) {
			s := setupBench(b, accounts)
			b.SetParallelism(32)
			b.ReportAllocs()
			var failed atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					user := s.users[rand.IntN(len(s.users))]
					_, err := s.ledger.Debit(b.Context(), s.request(), creditledger.DebitParams{UserID: user, Amount: 1})
					if err != nil {
						failed.Add(1)
					}
				}
			})
			require.Zero(b, failed.Load())
			b.ReportMetric(float64(s.operations.Load())/float64(s.batches.Load()), "ops/batch")
		})
	}
}

type benchBundle struct {
	*bundle
	users               []uuid.UUID
	batches, operations atomic.Int64
}

func setupBench(b *testing.B, accounts int) *benchBundle {
	b.Helper()
	db := pgtest.New(b)
	s := &benchBundle{bundle: &bundle{db: db, clock: &clock{at: epoch}, caller: creditledger.Actor{Type: creditledger.ActorAPIKey, ID: uuid.New()}}}
	s.ledger = creditledger.New(db.Pool, creditledger.Options{Observe: func(_ context.Context, stats creditledger.BatchStats) {
		s.batches.Add(1)
		s.operations.Add(int64(stats.Operations))
	}})
	for range accounts {
		s.userID = s.openAccount(b, uuid.New())
		s.users = append(s.users, s.userID)
		s.grant(b, creditledger.GrantParams{Amount: 1 << 50})
	}
	s.batches.Store(0)
	s.operations.Store(0)
	b.ResetTimer()
	return s
}
