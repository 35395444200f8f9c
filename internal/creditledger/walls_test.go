package creditledger_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

// Not even the tables' owner changes what was applied.
func TestHistory_IsImmutable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 10})
	_, err := b.debit(t, 1)
	require.NoError(t, err)
	before := b.history(t)

	owner := b.db.Owner(t)
	for _, sql := range []string{
		"UPDATE credit_transactions SET amount = 1000",
		"UPDATE credit_transactions SET reference = 'x' WHERE sequence = 2",
		"UPDATE credit_transactions SET hash = hash",
		"DELETE FROM credit_transactions WHERE sequence = 2",
		"DELETE FROM credit_transactions",
		"TRUNCATE credit_transactions CASCADE", // without the word, the foreign keys forbid it
		"TRUNCATE credit_accounts CASCADE",
		"UPDATE idempotency_keys SET fingerprint = fingerprint",
		"DELETE FROM idempotency_keys",
	} {
		_, err := owner.Exec(t.Context(), sql)
		require.ErrorContains(t, err, "refused: applied transactions are never changed", sql)
	}
	requireSame(t, before, b.history(t))
}

// The last wall behind the Go code: what may not be is refused by the database.
// Of several constraints that a row breaks, PostgreSQL names the first by name.
func TestTables_RefuseWhatMayNotBe(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 10})
	insert := func(sequence, id, amount, actor string) string {
		return "INSERT INTO credit_transactions (sequence, id, amount, actor_type, actor_id, user_id, type, balance_after, hash, created_at) SELECT " +
			sequence + ", " + id + ", " + amount + ", " + actor + ", user_id, 'debit', 9, hash, now() FROM credit_transactions"
	}
	for _, c := range []struct{ constraint, sql string }{
		{"credit_accounts_balance_range", "UPDATE credit_accounts SET balance = -1"},
		{"credit_accounts_balance_range", "UPDATE credit_accounts SET balance = 9007199254740992"},
		{"credit_accounts_held_range", "UPDATE credit_accounts SET held = -1"},
		{"credit_accounts_held_range", "UPDATE credit_accounts SET held = balance + 1"},
		{"credit_grants_held_range", "UPDATE credit_grants SET remaining = -1"},
		{"credit_grants_expired_range", "UPDATE credit_grants SET remaining = amount + 1"},
		{"credit_grants_held_range", "UPDATE credit_grants SET held = remaining + 1"},
		{"credit_grants_expired_range", "UPDATE credit_grants SET expired = 1"},
		{"credit_transactions_pkey", insert("1", "gen_random_uuid()", "-1", "'user', user_id")},
		{"credit_transactions_id_key", insert("2", "id", "-1", "'user', user_id")},
		{"credit_transactions_amount_not_zero", insert("2", "gen_random_uuid()", "0", "'user', user_id")},
		{"credit_transactions_amount_sign", insert("2", "gen_random_uuid()", "1", "'user', user_id")},
		{"credit_transactions_actor_known", insert("2", "gen_random_uuid()", "-1", "'user', NULL")},
		{"credit_transactions_actor_known", insert("2", "gen_random_uuid()", "-1", "'system', user_id")},
	} {
		_, err := b.db.Pool.Exec(t.Context(), c.sql)
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused, c.sql)
		require.Equal(t, c.constraint, refused.ConstraintName, c.sql)
	}
	require.Equal(t, int64(10), b.balance(t).Balance)
}
