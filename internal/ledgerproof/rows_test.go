package ledgerproof

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever row is missing, it is missed.
func TestTamper_EveryRowDeleted(t *testing.T) {
	t.Parallel()
	v := breakIn(t)
	for _, table := range tables {
		from := table
		if table == "idempotency_keys" {
			from = exceptRefusals
		}
		var rows int
		require.NoError(t, v.conn.QueryRow(t.Context(), "SELECT count(*) FROM "+from).Scan(&rows))
		require.Greater(t, rows, 1, table)
		for row := range rows {
			sql := fmt.Sprintf("DELETE FROM %s WHERE ctid = (SELECT ctid FROM %s ORDER BY ctid OFFSET %d LIMIT 1)", table, from, row)
			err, legal := v.try(t, Options{}, sql)
			require.True(t, legal, sql)
			require.Error(t, err, sql)
		}
	}
}

// A table or an account that is gone altogether is missed as well.
func TestTamper_EverythingDeleted(t *testing.T) {
	t.Parallel()
	v := breakIn(t)
	for _, table := range tables {
		if strings.HasPrefix(table, "ledger_") {
			continue // those of the database are gone with nothing left to compare; see TestTamper_Checkpoints
		}
		err, legal := v.try(t, Options{}, "DELETE FROM "+table)
		require.True(t, legal, table)
		require.Error(t, err, table)
	}
	var all strings.Builder
	for _, table := range tables[:8] {
		fmt.Fprintf(&all, "DELETE FROM %s WHERE user_id = '%s';", table, v.dan)
	}
	v.requireNamed(t, Options{}, "account "+v.dan.String()+": the account is gone, but there are still heads of checkpoints of it", all.String())
	all.WriteString("DELETE FROM ledger_checkpoint_heads WHERE user_id = '" + v.dan.String() + "';")
	v.requireNamed(t, Options{}, "checkpoint 1: the heads of accounts that the database has for it are not those that were signed", all.String())
	all.WriteString("DELETE FROM ledger_checkpoints;  DELETE FROM ledger_checkpoint_heads;")
	v.requireNamed(t, Options{Outside: v.checkpoints}, "kept checkpoint 1: the newest of the database is number 0", all.String())
}

// Whatever row is there twice, under whichever other name, is one too many.
func TestTamper_EveryRowTwice(t *testing.T) {
	t.Parallel()
	v := breakIn(t)
	other := "user_id = gen_random_uuid()"
	copies := map[string][]string{ // with what changed, so that the table takes it
		"credit_accounts":          {other},
		"credit_transactions":      {"sequence = sequence + 1000, id = gen_random_uuid()", other + ", id = gen_random_uuid()", "sequence = (SELECT max(sequence) + 1 FROM credit_transactions m WHERE m.user_id = o.user_id), id = gen_random_uuid()"},
		"credit_grants":            {"id = gen_random_uuid(), part = part + 1", "id = gen_random_uuid(), sequence = sequence + 1", other},
		"credit_transaction_notes": {"sequence = sequence + 1000", "sequence = -1", other},
		"credit_holds":             {"id = gen_random_uuid()", other},
		"credit_hold_events":       {"number = number + 1000", "number = (SELECT max(number) + 1 FROM credit_hold_events m WHERE m.user_id = o.user_id)", other},
		"credit_hold_notes":        {"hold_id = gen_random_uuid()", other},
		"idempotency_keys":         {"key = key || 'x'", "caller_id = gen_random_uuid()"},
		"ledger_checkpoints":       {"number = number + 3", "number = 4, previous = root, created_at = now()"},
		"ledger_checkpoint_heads":  {"checkpoint = checkpoint + 10", "checkpoint = 3", "checkpoint = 2", other},
	}
	for _, table := range tables {
		var columns []string
		for _, c := range v.columns(t) {
			if c.table == table {
				columns = append(columns, c.name)
			}
		}
		from := table
		if table == "idempotency_keys" {
			from = exceptRefusals
		}
		var rows int
		require.NoError(t, v.conn.QueryRow(t.Context(), "SELECT count(*) FROM "+from).Scan(&rows))
		for _, changes := range copies[table] {
			values := slices.Clone(columns)
			for _, change := range strings.SplitAfter(changes, ", ") {
				if name, value, ok := strings.Cut(strings.TrimSuffix(change, ", "), " = "); ok && slices.Contains(columns, name) {
					values[slices.Index(columns, name)] = value
				}
			}
			if strings.Contains(changes, "SELECT") { // has commas of its own
				name, value, _ := strings.Cut(changes, " = ")
				value, _, _ = strings.Cut(value, "), id")
				values[slices.Index(columns, name)] = strings.TrimSuffix(value, ")") + ")"
			}
			made := 0
			for row := range rows {
				sql := fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM (SELECT * FROM %s ORDER BY ctid OFFSET %d LIMIT 1) o", table, strings.Join(columns, ", "), strings.Join(values, ", "), from, row)
				err, legal := v.try(t, Options{}, sql)
				if legal {
					made++
					require.Error(t, err, sql)
				}
			}
			require.Positive(t, made, "no copy of a row of %s is legal with %s", table, changes)
		}
	}
}

// Two records change places.
func TestTamper_RowsSwapped(t *testing.T) {
	t.Parallel()
	v := breakIn(t)
	for _, c := range []struct{ table, number string }{{"credit_transactions", "sequence"}, {"credit_hold_events", "number"}} {
		var last int
		require.NoError(t, v.conn.QueryRow(t.Context(), fmt.Sprintf("SELECT max(%s) FROM %s WHERE user_id = $1", c.number, c.table), v.ada).Scan(&last))
		for n := 1; n < last; n++ {
			for _, with := range []int{n + 1, last} {
				if n == with {
					continue
				}
				at := "WHERE user_id = '" + v.ada.String() + "' AND " + c.number
				swap := fmt.Sprintf("UPDATE %[1]s SET %[2]s = 1000000 %[3]s = %[4]d; UPDATE %[1]s SET %[2]s = %[4]d %[3]s = %[5]d; UPDATE %[1]s SET %[2]s = %[5]d %[3]s = 1000000;",
					c.table, c.number, at, n, with)
				err, legal := v.try(t, Options{}, swap)
				require.True(t, legal)
				require.Error(t, err, swap)
			}
		}
	}
}
