package creditledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

// Without an end it has everything, also what other replicas, or a fast batch,
// made at times that this clock has not reached.
func TestLedger_StatementToNow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 5 {
		b.grant(t, creditledger.GrantParams{Amount: 1})
	}
	s, err := b.ledger.Statement(t.Context(), b.userID, nil, nil)
	require.NoError(t, err)
	require.Equal(t, int64(5), s.Closing)
}
