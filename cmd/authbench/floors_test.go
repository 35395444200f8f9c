package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgtest"
)

func TestParsePgbench(t *testing.T) {
	t.Parallel()
	report := `transaction type: x.sql
number of transactions actually processed: 53713
number of failed transactions: 0 (0.000%)
latency average = 3.573 ms
tps = 8953.311000 (without initial connection time)
`
	f, err := parsePgbench(report)
	require.NoError(t, err)
	require.EqualValues(t, 53713, f.transactions)
	require.InEpsilon(t, 8953.311, f.floor("").Rate, 1e-9)

	_, err = parsePgbench(strings.Replace(report, "transactions: 0 (", "transactions: 12 (", 1))
	require.ErrorContains(t, err, "12 transactions of pgbench failed")
	for _, broken := range []string{"", strings.Replace(report, "tps", "x", 1), strings.Replace(report, "8953.311000", "0.0", 1)} {
		_, err = parsePgbench(broken)
		require.ErrorContains(t, err, "pgbench reports no rate")
	}
}

// The raw tables do what the ledger would: they keep the sums right, and refuse.
func TestFloor_Credits(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).Owner(t)
	_, err := db.Exec(t.Context(), creditsFloorSchema)
	require.NoError(t, err)
	_, err = db.Exec(t.Context(), creditsFloorSchema)
	require.NoError(t, err, "what an interrupted run left is in nobody's way")
	_, err = db.Exec(t.Context(), "SELECT authbench.fill(2, 10)")
	require.NoError(t, err)

	call := func(sql string) (result int64, err error) {
		err = db.QueryRow(t.Context(), sql).Scan(&result)
		return result, err
	}
	after, err := call("SELECT authbench.debit(1, 4)")
	require.NoError(t, err)
	require.EqualValues(t, 6, after)
	_, err = call("SELECT authbench.debit(1, 7)")
	require.ErrorContains(t, err, "insufficient credits")
	hold, err := call("SELECT authbench.hold(1, 5)")
	require.NoError(t, err)
	_, err = call("SELECT authbench.debit(1, 2)")
	require.ErrorContains(t, err, "insufficient credits", "what is held cannot be spent")
	after, err = call("SELECT authbench.capture(1, 1, 2)")
	require.NoError(t, err)
	require.EqualValues(t, 1, hold)
	require.EqualValues(t, 4, after)
	_, err = call("SELECT authbench.capture(1, 1, 2)")
	require.ErrorContains(t, err, "not active")
	held, err := call("SELECT held FROM authbench.accounts WHERE id = 1")
	require.NoError(t, err)
	require.Zero(t, held)
	rows, err := call("SELECT count(*) FROM authbench.transactions")
	require.NoError(t, err)
	require.EqualValues(t, 2, rows)

	for _, want := range []int64{7, 4} {
		after, err = call("SELECT authbench.spend(2, 3)")
		require.NoError(t, err)
		require.Equal(t, want, after)
	}
	_, err = call("SELECT authbench.spend(2, 5)")
	require.ErrorContains(t, err, "insufficient credits")
	rows, err = call(`SELECT count(*) FROM authbench.credit_transactions t JOIN authbench.idempotency_keys k USING (user_id, sequence)
		JOIN authbench.credit_grants g ON g.id = (t.burned->0->>'grant_id')::uuid AND g.remaining = 4
		WHERE t.amount = -3 AND t.balance_after = 10 - 3 * t.sequence`)
	require.NoError(t, err)
	require.EqualValues(t, 2, rows)
}

// The raw statements of a refresh are those of the service, and exchange a token.
func TestFloor_Refresh(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).Owner(t)
	_, err := db.Exec(t.Context(), refreshFloorSchema)
	require.NoError(t, err)
	_, err = db.Exec(t.Context(), "SET search_path = authbench, public")
	require.NoError(t, err)
	script, err := refreshScript()
	require.NoError(t, err)
	statements, counting, found := strings.Cut(script, `\set `)
	require.True(t, found)
	require.Equal(t, "generation :generation + 1\n", counting)

	for _, generation := range []string{"0", "1", "2"} {
		for statement := range strings.SplitSeq(strings.TrimSpace(statements), ";\n") {
			statement = strings.NewReplacer(":client_id", "7", ":generation", generation).Replace(statement)
			tag, err := db.Exec(t.Context(), statement)
			require.NoError(t, err, statement)
			if !strings.HasPrefix(statement, "BEGIN") && !strings.HasPrefix(statement, "COMMIT") {
				require.EqualValues(t, 1, tag.RowsAffected(), statement)
			}
		}
	}
	var exchanged, events int
	require.NoError(t, db.QueryRow(t.Context(), "SELECT count(*) FROM authbench.refresh_tokens WHERE rotated_at IS NOT NULL").Scan(&exchanged))
	require.Equal(t, 3, exchanged)
	require.NoError(t, db.QueryRow(t.Context(), "SELECT count(*) FROM authbench.audit_events").Scan(&events))
	require.Equal(t, 3, events)
	require.NoError(t, db.QueryRow(t.Context(), "SELECT count(*) FROM public.audit_events").Scan(&events))
	require.Zero(t, events, "nothing of the service is touched")
}

// The bare handlers answer with what is there.
func TestFloor_BareHandlers(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	p := testPopulation()
	require.NoError(t, writePopulation(t.Context(), db.Owner(t), p, func(string, int, int) {}))
	handler, err := bareHandler(db.Pool)
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	defer server.Close()

	get := func(path string) (status int, body map[string]any) {
		response, err := http.Get(server.URL + path)
		require.NoError(t, err)
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		_ = json.Unmarshal(text, &body)
		return response.StatusCode, body
	}
	id := p.userID(3)
	status, body := get(bareUser + id.String())
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, id.String(), body["id"])
	require.Equal(t, id.String()+emailDomain, body["email"])
	require.Equal(t, "active", body["status"])
	status, body = get(bareBalance + id.String())
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, id.String(), body["user_id"])
	require.Greater(t, body["balance"], float64(lastGrant-1))
	require.EqualValues(t, p.perUser(), body["sequence"])
	status, _ = get(bareEmpty)
	require.Equal(t, http.StatusOK, status)
	status, _ = get(bareBalance + uuid.NewString())
	require.Equal(t, http.StatusNotFound, status)
	status, _ = get(bareUser + "x")
	require.Equal(t, http.StatusNotFound, status)
}
