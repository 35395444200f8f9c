package creditledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

// Another replica has the key, and has not committed yet: who comes second waits,
// undoes what it did, and gives the answer of the first.
func TestLedger_SameKeyOnAnotherReplica(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 10})
	r := b.request()
	other, err := b.db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer other.Rollback(t.Context())
	_, err = other.Exec(t.Context(), "INSERT INTO idempotency_keys (caller_id, key, fingerprint, status, body, created_at) VALUES ($1, $2, $3, 402, 'the first answer', $4)",
		r.Actor.ID, r.Key, r.Fingerprint[:], epoch)
	require.NoError(t, err)

	answered := make(chan error, 1)
	go func() {
		_, err := b.ledger.Debit(t.Context(), r, creditledger.DebitParams{UserID: b.userID, Amount: 4})
		answered <- err
	}()
	b.requireWaiting(t, "IdempotencyKeyInsertMany")
	require.NoError(t, other.Commit(t.Context()))
	require.Equal(t, &creditledger.Refused{Status: 402, Body: []byte("the first answer"), Replayed: true}, refusedBy(t, <-answered))
	b.requireBalance(t, 10, 0)
	require.Len(t, b.history(t), 1)
}
