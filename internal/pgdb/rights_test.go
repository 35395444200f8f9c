package pgdb_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/pgtest"
)

// The run-time role must not be able to rewrite history, alter the schema, or
// give itself more, whatever the code does.
func TestRuntimeRole(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for _, sql := range []string{
		// The ledger.
		"UPDATE credit_transactions SET amount = amount + 1",
		"DELETE FROM credit_transactions",
		"TRUNCATE credit_transactions",
		"DELETE FROM credit_accounts",
		"UPDATE idempotency_keys SET status = 200",
		"UPDATE credit_transaction_notes SET description = ''",
		"UPDATE credit_hold_events SET amount = 1",
		"DELETE FROM credit_hold_events",
		"UPDATE ledger_checkpoints SET transactions = 0",
		"DELETE FROM ledger_checkpoint_heads",
		// What happened.
		"UPDATE audit_events SET type = 'x'",
		"DELETE FROM audit_events",
		"TRUNCATE audit_events CASCADE",
		// The walls around both.
		"ALTER TABLE credit_transactions DISABLE TRIGGER ALL",
		"DROP TRIGGER credit_transactions_immutable ON credit_transactions",
		"CREATE OR REPLACE FUNCTION credit_history_is_immutable() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
		"SET session_replication_role = replica",
		"CREATE RULE r AS ON INSERT TO audit_events DO INSTEAD NOTHING",
		// The schema.
		"ALTER TABLE credit_accounts DROP CONSTRAINT credit_accounts_balance_range",
		"ALTER TABLE users ADD COLUMN mine text",
		"DROP TABLE users",
		"CREATE TABLE mine ()",
		"CREATE SCHEMA mine",
		"CREATE INDEX ON users (name)",
		"CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
		"UPDATE schema_migrations SET version = '0'",
		"DELETE FROM schema_migrations",
		// More rights.
		"ALTER ROLE authservice_runtime SUPERUSER",
		"CREATE ROLE mine",
		"SET ROLE pg_read_all_data",
		"GRANT pg_write_all_data TO CURRENT_USER",
		"ALTER SYSTEM SET log_statement = 'all'",
		"COPY users TO PROGRAM 'cat'",
		"COPY users TO '/tmp/users'",
		"SELECT pg_read_file('postgresql.conf')",
		"CREATE DATABASE mine",
	} {
		_, err := db.Pool.Exec(t.Context(), sql)
		require.ErrorContains(t, err, "42501", sql)
	}
}

// The same for tables that are yet to come: what is not in a test of its own must
// not be possible either.
func TestRuntimeRole_Catalogue(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	none := func(what, sql string) {
		rows, err := db.Pool.Query(t.Context(), sql)
		require.NoError(t, err)
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.Empty(t, found, what)
	}
	const tables = "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm')"
	none("tables that can be emptied, referred to or watched", "SELECT c.relname::text "+tables+" AND has_table_privilege(c.oid, 'TRUNCATE, REFERENCES, TRIGGER')")
	none("rights that can be passed on", "SELECT c.relname::text "+tables+
		" AND has_table_privilege(c.oid, 'SELECT WITH GRANT OPTION, INSERT WITH GRANT OPTION, UPDATE WITH GRANT OPTION, DELETE WITH GRANT OPTION')")
	none("history that can be changed, be it a column", "SELECT c.relname::text "+tables+
		" AND c.relname IN ('credit_transactions', 'audit_events') AND (has_any_column_privilege(c.oid, 'UPDATE') OR has_table_privilege(c.oid, 'DELETE'))")
	none("things of its own", "SELECT c.relname::text FROM pg_class c WHERE pg_has_role(c.relowner, 'USAGE')")
	none("functions that act as somebody else", "SELECT p.proname::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'public' AND p.prosecdef")
	none("powers", "SELECT rolname::text FROM pg_roles WHERE pg_has_role(oid, 'MEMBER') AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)")
	none("other memberships", "SELECT rolname::text FROM pg_roles WHERE pg_has_role(oid, 'MEMBER') AND rolname NOT IN ('authservice_runtime', current_user)")
	none("schemas to create in", "SELECT nspname::text FROM pg_namespace WHERE has_schema_privilege(oid, 'CREATE')")

	overpowered, err := pgdb.Overpowered(t.Context(), db.Pool)
	require.NoError(t, err)
	require.False(t, overpowered)
	overpowered, err = pgdb.Overpowered(t.Context(), open(t, db.OwnerURL))
	require.NoError(t, err)
	require.True(t, overpowered)
}

func TestVerified(t *testing.T) {
	t.Parallel()
	local := pgtest.New(t)
	require.True(t, pgdb.Verified(local.Pool), "on this machine")
	for mode, verified := range map[string]bool{"disable": false, "allow": false, "prefer": false, "require": false, "verify-ca": true, "verify-full": true} {
		pool, err := pgdb.Unconnected("postgres://x@db.example.com/x?sslmode=" + mode)
		require.NoError(t, err)
		require.Equal(t, verified, pgdb.Verified(pool), mode)
		pool.Close()
	}
}
