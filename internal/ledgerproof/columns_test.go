package ledgerproof

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// unproven is what can be edited unseen, and why that is so.
var unproven = map[string]string{
	"credit_accounts.created_at":  "an account that has records must have been opened before the first; when, nothing follows from",
	"credit_accounts.closed_at":   "an account is closed because its user was deleted, which is not the ledger's; texts may be missing only where it is",
	"idempotency_keys.created_at": "where the account was ahead of the clock, the record has the next time instead",
	"idempotency_keys.parts":      "the order of a batch's operations on different accounts: nothing else tells it",
}

// Refusals are answers that are kept for three days. They are no part of the
// history, and the service itself may delete them.
const exceptRefusals = "idempotency_keys WHERE body IS NULL"

type column struct{ table, name, kind string }

func (v *vault) columns(t *testing.T) []column {
	t.Helper()
	rows, err := v.conn.Query(t.Context(), `
		SELECT table_name, column_name, data_type FROM information_schema.columns
		WHERE table_schema = 'public' AND table_name = ANY ($1) AND is_generated = 'NEVER'
		ORDER BY 1, ordinal_position`, tables)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c column, err error) {
		return c, row.Scan(&c.table, &c.name, &c.kind)
	})
	require.NoError(t, err)
	return all
}

// forged are other values for a column of a kind, as SQL. Those that the table's
// constraints refuse are tried in vain.
func (c column) forged() []string {
	switch c.kind {
	case "uuid":
		return []string{"gen_random_uuid()", "NULL", "'00000000-0000-0000-0000-000000000000'"}
	case "bigint", "smallint":
		return []string{c.name + " + 1", c.name + " - 1", "-" + c.name, "0", "NULL", "1"}
	case "bytea":
		return []string{"set_byte(" + c.name + ", 3, (get_byte(" + c.name + ", 3) + 1) % 256)", "NULL", "decode(repeat('00', 32), 'hex')"}
	case "timestamp with time zone":
		return []string{c.name + " + interval '1 microsecond'", c.name + " - interval '1 microsecond'", "'infinity'", "NULL", "'2026-03-01 13:00:00Z'"}
	case "jsonb":
		return []string{
			"'[]'", c.name + " - 0", "jsonb_set(" + c.name + ", '{0,amount}', '1')", "jsonb_set(" + c.name + ", '{0,amount}', to_jsonb(((" + c.name + "->0->>'amount') || '.0')::numeric))",
			"jsonb_set(" + c.name + ", '{0,note}', '1')", "jsonb_set(" + c.name + ", '{0,grant_id}', to_jsonb(gen_random_uuid()))",
			"(SELECT jsonb_agg(e ORDER BY o DESC) FROM jsonb_array_elements(" + c.name + ") WITH ORDINALITY x(e, o))",
		}
	case "json":
		return []string{
			"'{\"season\":\"winter\"}'", "NULL", "'[]'", "(jsonb_set(" + c.name + "::jsonb, '{0,records,0,sequence}', '1'))::json", "(" + c.name + "::jsonb - 0)::json",
			"(SELECT jsonb_agg(e ORDER BY o DESC) FROM jsonb_array_elements(" + c.name + "::jsonb) WITH ORDINALITY x(e, o))::json",
		}
	case "text":
		words := map[string]string{
			"type":       "grant debit capture reversal transfer_in transfer_out expiry revocation placed incremented captured voided expired",
			"status":     "active captured voided expired",
			"actor_type": "user api_key system",
		}[c.name]
		values := []string{c.name + " || 'x'", "'x'", "''", "NULL"}
		for _, word := range strings.Fields(words) {
			values = append(values, "'"+word+"'")
		}
		return values
	}
	panic("no forged values of the kind " + c.kind)
}

// Every column of every row is edited, each to several other values that the
// tables take, and each edit is named.
func TestTamper_EveryColumn(t *testing.T) {
	t.Parallel()
	v := breakIn(t)
	tried, unseen := map[string]int{}, map[string]string{}
	for _, c := range v.columns(t) {
		name, from := c.table+"."+c.name, c.table
		if c.table == "idempotency_keys" {
			from = exceptRefusals
		}
		var rows int
		require.NoError(t, v.conn.QueryRow(t.Context(), "SELECT count(*) FROM "+from).Scan(&rows))
		for row := range rows {
			values := c.forged()
			if row%3 > 0 {
				values = values[:2] // the others are tried in every third row
			}
			for _, value := range values {
				sql := fmt.Sprintf("UPDATE %s SET %s = %s WHERE (%[2]s)::text IS DISTINCT FROM (%[3]s)::text AND ctid = (SELECT ctid FROM %s ORDER BY ctid OFFSET %d LIMIT 1)",
					c.table, c.name, value, from, row)
				err, legal := v.try(t, Options{page: pageSize}, sql)
				if !legal {
					continue
				}
				tried[name]++
				if err == nil {
					unseen[name] = sql
				}
			}
		}
		if c.name != "body" { // what is no refusal has none
			require.Positive(t, tried[name], "no other value of %s is legal", name)
		}
	}
	for name, sql := range unseen {
		require.Contains(t, unproven, name, sql)
	}
	for name, why := range unproven {
		require.Contains(t, unseen, name, "it is proven after all, although %s", why)
	}
}

// Who edits a record and makes all hashes anew is found out by the heads of the
// checkpoints, if by nothing else.
func TestTamper_EveryColumnWithNewHashes(t *testing.T) {
	t.Parallel()
	v := breakIn(t)
	other := map[string]string{
		"uuid": "gen_random_uuid()", "bigint": "%s + 1", "smallint": "%s + 1", "text": "%s || 'x'", "bytea": "set_byte(%[1]s, 3, (get_byte(%[1]s, 3) + 1) %% 256)",
		"timestamp with time zone": "%s + interval '1 microsecond'", "jsonb": "jsonb_set(%s, '{0,amount}', '1')",
	}
	tried := map[string]int{}
	for _, c := range v.columns(t) {
		if !slices.Contains([]string{"credit_transactions", "credit_hold_events", "credit_grants"}, c.table) || c.name == "user_id" || c.name == "hash" {
			continue
		}
		var rows int
		require.NoError(t, v.conn.QueryRow(t.Context(), "SELECT count(*) FROM "+c.table+" WHERE user_id = $1", v.bob).Scan(&rows))
		for row := range rows {
			tx, err := v.conn.Begin(t.Context())
			require.NoError(t, err)
			f := &forger{vault: v, t: t, tx: tx}
			value := other[c.kind]
			if strings.Contains(value, "%") {
				value = fmt.Sprintf(value, c.name)
			}
			tag, err := tx.Exec(t.Context(), fmt.Sprintf("UPDATE %s SET %s = %s WHERE (%[2]s)::text IS DISTINCT FROM (%[3]s)::text AND ctid = (SELECT ctid FROM %[1]s WHERE user_id = '%[4]s' ORDER BY ctid OFFSET %[5]d LIMIT 1)",
				c.table, c.name, value, v.bob, row))
			if err == nil && tag.RowsAffected() > 0 {
				f.rechain(v.bob)
				tried[c.table+"."+c.name]++
				require.Error(t, prove(t, tx, Options{}), "%s of row %d of %s", c.name, row, c.table)
			}
			require.NoError(t, tx.Rollback(t.Context()))
		}
	}
	require.Greater(t, len(tried), 35, "%v", tried)
}
