package ledgerproof

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgtest"
)

// tables are all that the ledger consists of.
var tables = []string{
	"credit_accounts", "credit_transactions", "credit_grants", "credit_transaction_notes", "credit_holds", "credit_hold_events",
	"credit_hold_notes", "idempotency_keys", "ledger_checkpoints", "ledger_checkpoint_heads",
}

// vault is a filled ledger whose walls are down: the attacker owns the tables,
// and has removed their triggers, foreign keys and checks.
type vault struct {
	*filled
	conn *pgx.Conn
}

func breakIn(t *testing.T) *vault {
	t.Helper()
	db := pgtest.New(t)
	v := &vault{filled: fill(t, db.Pool), conn: db.Owner(t)}
	_, err := v.conn.Exec(t.Context(), `
		DO $$
		DECLARE sql text;
		BEGIN
			FOR sql IN
				SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
				WHERE contype IN ('c', 'f') AND conrelid::regclass::text ~ '^(credit_|ledger_|idempotency_)'
				UNION ALL
				SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) FROM pg_trigger
				WHERE NOT tgisinternal AND tgrelid::regclass::text ~ '^(credit_|ledger_|idempotency_)'
			LOOP
				EXECUTE sql;
			END LOOP;
		END
		$$`)
	require.NoError(t, err)
	return v
}

// try tampers, proves what became of it, and undoes it. legal is false if
// nothing came of it, because the database refused, or no row was changed.
func (v *vault) try(t *testing.T, o Options, sql string, args ...any) (err error, legal bool) { //nolint:revive // the error is the result
	t.Helper()
	tx, txErr := v.conn.Begin(t.Context())
	require.NoError(t, txErr)
	defer tx.Rollback(context.Background())
	tag, execErr := tx.Exec(t.Context(), sql, args...)
	if refused := new(pgconn.PgError); errors.As(execErr, &refused) && (strings.HasPrefix(refused.Code, "23") || strings.HasPrefix(refused.Code, "22")) {
		return nil, false
	}
	require.NoError(t, execErr, sql)
	if tag.RowsAffected() == 0 && !strings.Contains(sql, ";") { // of several statements, it tells of the last
		return nil, false
	}
	if o.page == 0 {
		o.page = 3 // so that it has to read on
	}
	if err = prove(t, tx, o); err != nil {
		require.ErrorAs(t, err, new(*Break), sql)
	}
	return err, true
}

// requireNamed requires that what was done is found, and named by these words.
func (v *vault) requireNamed(t *testing.T, o Options, words, sql string, args ...any) {
	t.Helper()
	err, legal := v.try(t, o, sql, args...)
	require.True(t, legal, "the attack changes nothing: %s", sql)
	require.ErrorContains(t, err, words, sql)
}

// prove proves what was made of the ledger in a transaction.
func prove(t *testing.T, tx pgx.Tx, o Options) error {
	t.Helper()
	inner, err := tx.Begin(t.Context()) // its cursors end with it
	require.NoError(t, err)
	defer inner.Rollback(context.Background())
	_, err = verify(t.Context(), inner, o)
	return err
}

// requireBroken requires that it is broken, and named by these words.
func requireBroken(t *testing.T, tx pgx.Tx, o Options, words string) {
	t.Helper()
	err := prove(t, tx, o)
	require.ErrorAs(t, err, new(*Break))
	require.ErrorContains(t, err, words)
}
