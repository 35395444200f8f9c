package ledgerproof

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgtest"
)

// Not even the tables' owner changes a checkpoint, and the service has no right to.
func TestCheckpoints_AreImmutable(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	w := newWorld(db.Pool)
	w.open(t)
	made := w.checkpoint(t)
	owner := db.Owner(t)
	for _, table := range []string{"ledger_checkpoints", "ledger_checkpoint_heads"} {
		for _, sql := range []string{"UPDATE " + table + " SET transactions = 1", "DELETE FROM " + table, "TRUNCATE " + table + " CASCADE"} {
			if table == "ledger_checkpoint_heads" && sql[0] == 'U' {
				sql = "UPDATE " + table + " SET sequence = 1"
			}
			_, err := owner.Exec(t.Context(), sql)
			require.ErrorContains(t, err, "refused: checkpoints are never changed", sql)
			_, err = db.Pool.Exec(t.Context(), sql)
			require.ErrorContains(t, err, "permission denied", sql)
		}
	}
	_, err := Verify(t.Context(), db.Pool, Options{Outside: []Checkpoint{made}})
	require.NoError(t, err)
}
