package creditledger_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

func requireInvariants(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	for what, sql := range map[string]string{
		"balance is not the sum of transactions": `SELECT count(*) FROM credit_accounts a WHERE a.balance <> (SELECT coalesce(sum(amount),0) FROM credit_transactions t WHERE t.user_id = a.user_id)`,
		"balance is not the sum of grants":       `SELECT count(*) FROM credit_accounts a WHERE a.balance <> (SELECT coalesce(sum(remaining),0) FROM credit_grants g WHERE g.user_id = a.user_id)`,
		"held is not the sum of grants":          `SELECT count(*) FROM credit_accounts a WHERE a.held <> (SELECT coalesce(sum(held),0) FROM credit_grants g WHERE g.user_id = a.user_id)`,
		"held is not the sum of holds":           `SELECT count(*) FROM credit_accounts a WHERE a.held <> (SELECT coalesce(sum(amount-captured),0) FROM credit_holds g WHERE g.user_id = a.user_id AND status = 'active')`,
	} {
		var n int
		require.NoError(t, pool.QueryRow(context.Background(), sql).Scan(&n))
		require.Zero(t, n, what)
	}
}
