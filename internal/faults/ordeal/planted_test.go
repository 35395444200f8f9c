//go:build faults

package ordeal

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// unguarded keeps triggers from refusing what is planted.
const unguarded = "session_replication_role = replica"

// requireFound plants what the proofs are there to find, in the very books that
// they found to be sound, and asserts that they do. All of it is undone.
func (w *world) requireFound(all []*client) {
	w.t.Helper()
	records := recordsOf(all)
	at := slices.IndexFunc(records, func(r record) bool { return r.kind == kindGrant && r.outcome == applied })
	require.GreaterOrEqual(w.t, at, 0)
	key := records[at].key
	for _, planted := range []struct{ sql, found string }{
		{"DELETE FROM credit_transactions WHERE idempotency_key = $1", lost},
		{`INSERT INTO credit_transactions (user_id, sequence, id, type, amount, balance_after, actor_type, actor_id, idempotency_key, hash, created_at)
			SELECT user_id, 1000000, gen_random_uuid(), type, amount, balance_after, actor_type, actor_id, idempotency_key, hash, created_at
			FROM credit_transactions WHERE idempotency_key = $1`, duplicated},
		{`INSERT INTO credit_transactions (user_id, sequence, id, type, amount, balance_after, actor_type, actor_id, idempotency_key, hash, created_at)
			SELECT user_id, 1000000, gen_random_uuid(), type, amount, balance_after, actor_type, actor_id, 'of nobody', hash, created_at
			FROM credit_transactions WHERE idempotency_key = $1`, phantom},
		{"UPDATE credit_transactions SET balance_after = balance_after + 1 WHERE idempotency_key = $1", altered},
		{"UPDATE credit_accounts SET balance = balance + 1 WHERE user_id = (SELECT user_id FROM credit_transactions WHERE idempotency_key = $1)", unbalanced},
	} {
		conn := w.superuser()
		tx, err := conn.Begin(w.ctx)
		require.NoError(w.t, err)
		_, err = tx.Exec(w.ctx, "SET LOCAL "+unguarded)
		require.NoError(w.t, err)
		tag, err := tx.Exec(w.ctx, planted.sql, key)
		require.NoError(w.t, err)
		require.EqualValues(w.t, 1, tag.RowsAffected(), planted.sql)
		b, err := readBooks(w.ctx, tx)
		require.NoError(w.t, err)
		require.Positive(w.t, check(records, b).count(planted.found), planted.sql)
		require.NoError(w.t, tx.Rollback(w.ctx))
		require.NoError(w.t, conn.Close(w.ctx))
	}
	w.requireChangeFound(all)
	w.requireLeakFound()
}

// requireChangeFound changes a text that is part of an answer.
func (w *world) requireChangeFound(all []*client) {
	w.t.Helper()
	var c *client
	var e exchange
	for _, c = range all {
		at := slices.IndexFunc(c.kept, func(e exchange) bool { return e.kind == kindGrant && e.status == http.StatusCreated })
		if at >= 0 {
			e = c.kept[at]
			break
		}
	}
	require.NotNil(w.t, e.operation)
	w.sql("SET "+unguarded, "UPDATE credit_transactions SET reference = reference || 'x' WHERE idempotency_key = '"+e.key+"'")
	a, err := c.send(w.ctx, e.operation, patience)
	require.NoError(w.t, err)
	require.False(w.t, e.same(a), "%s", a.body)
	_, err = w.operator("", "ledger", "verify")
	require.ErrorContains(w.t, err, "the ledger is broken")
	w.sql("SET "+unguarded, "UPDATE credit_transactions SET reference = '"+e.key+"' WHERE idempotency_key = '"+e.key+"'")
}

// requireLeakFound leaves connections open that nobody uses.
func (w *world) requireLeakFound() {
	w.t.Helper()
	r := w.slots[0].replica()
	before := r.measure()
	for range 2 * moreConnections {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		require.NoError(w.t, err)
		w.t.Cleanup(func() { _ = conn.Close() })
	}
	require.Eventually(w.t, func() bool { return len(r.measure().leaks(before)) == 2 }, patience, 200*time.Millisecond, "goroutines and connections")
}
