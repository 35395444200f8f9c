package creditledger_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgtest"
)

// What deploy/SIZING.md says of the ledger's tables: their keys begin with the
// account, and what they say of each other stays within one, with the exceptions
// that are listed there.
func TestSchema_KeysBeginWithTheAccount(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	names := func(query string) []string {
		t.Helper()
		rows, err := db.Pool.Query(t.Context(), query)
		require.NoError(t, err)
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return found
	}
	const ledger = `(relname LIKE 'credit\_%' OR relname IN ('idempotency_keys', 'ledger_checkpoint_heads'))`
	require.Len(t, names(`SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND `+ledger), 9)
	require.ElementsMatch(t, []string{"idempotency_keys_pkey", "credit_transactions_id_key"}, names(`
		SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class ON pg_class.oid = i.indrelid
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
		WHERE i.indisunique AND a.attname <> 'user_id' AND `+ledger))
	require.ElementsMatch(t, []string{"credit_accounts_user_id_fkey", "ledger_checkpoint_heads_checkpoint_fkey"}, names(`
		SELECT c.conname FROM pg_constraint c JOIN pg_class ON pg_class.oid = c.conrelid
		JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = c.confkey[1]
		WHERE c.contype = 'f' AND a.attname <> 'user_id' AND `+ledger))
	require.ElementsMatch(t, []string{
		"credit_transactions_immutable", "credit_hold_events_immutable", "ledger_checkpoint_heads_immutable", "idempotency_keys_immutable",
	}, names(`SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE NOT tgisinternal AND `+ledger))
}
