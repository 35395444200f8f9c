package main

import (
	"bytes"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
	"github.com/authservice/authservice/internal/ledgerproof"
	"github.com/authservice/authservice/internal/pgtest"
)

// ledger runs a command of `authservice ledger`.
func ledger(t *testing.T, stdin string, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, problems bytes.Buffer
	code = run(t.Context(), append([]string{"ledger"}, args...), env{stdin: strings.NewReader(stdin), stdout: &out, stderr: &problems, environ: environ})
	return code, out.String(), problems.String()
}

func TestLedger(t *testing.T) {
	t.Parallel()
	s := startService(t, "AUTH_LEDGER_CHECKPOINT_INTERVAL=1m")
	user, backend := s.user(t), s.backend(t, authclient.ScopeCreditsGrant)
	backend.grant(t, user.id(), 1_000_000)
	require.Equal(t, 201, user.debit(t, uuid.NewString(), authclient.DebitRequest{Amount: 250_000}).StatusCode())
	dir := t.TempDir()
	keep := func(lines string) (file string) {
		file = filepath.Join(dir, uuid.NewString())
		require.NoError(t, os.WriteFile(file, []byte(lines), 0o600))
		return file
	}
	checkpoint := func() string {
		code, line, problems := ledger(t, "", s.environ, "checkpoint")
		require.Zero(t, code, problems)
		require.Equal(t, 1, strings.Count(line, "\n"), line)
		return line
	}
	onlyURL := []string{"DATABASE_URL=" + s.db.URL} // of the run-time role

	// The service has made the first by itself, and logged it.
	require.Eventually(t, func() bool { return strings.Contains(s.logs.String(), `"ledger checkpoint"`) }, 20*time.Second, 10*time.Millisecond)
	second := checkpoint()
	require.Contains(t, second, `"number":2,`)
	require.Contains(t, second, `"transactions":2,`)
	code, out, problems := ledger(t, "", onlyURL, "verify", "--checkpoints", keep(s.logs.String()+second))
	require.Zero(t, code, problems)
	require.Regexp(t, `^The ledger is sound: 2 accounts, 2 transactions and 0 hold events, proved in \S+ \([\d,]+ transactions/s\)\.
Issued 1,000,000 = spent 250,000 \+ expired 0 \+ revoked 0 \+ outstanding 750,000, in the smallest unit\.
Checkpoints: 2, signed by [\w-]{43}\.
$`, out)

	third := checkpoint()
	code, out, _ = ledger(t, third, onlyURL, "verify", "--checkpoints", "-")
	require.Zero(t, code)
	require.Contains(t, out, "\nNot in -: 1–2.\n")
	code, out, _ = ledger(t, "", onlyURL, "verify")
	require.Zero(t, code)
	require.Contains(t, out, "None was compared with a copy outside the database")

	var verdict struct {
		Sound       bool
		Break       *ledgerproof.Break
		Accounts    int64
		Outstanding *big.Int
		Checkpoints int64
		KeyIDs      []string `json:"key_ids"`
	}
	code, out, _ = ledger(t, "", onlyURL, "verify", "--json")
	require.Zero(t, code)
	require.Equal(t, 1, strings.Count(out, "\n"))
	require.NoError(t, json.Unmarshal([]byte(out), &verdict))
	require.True(t, verdict.Sound)
	require.Nil(t, verdict.Break)
	require.Equal(t, int64(2), verdict.Accounts)
	require.Equal(t, big.NewInt(750_000), verdict.Outstanding)
	require.Equal(t, int64(3), verdict.Checkpoints)
	require.Len(t, verdict.KeyIDs, 1)

	// Whoever owns the tables takes the newest checkpoint away …
	owner := s.db.Owner(t)
	_, err := owner.Exec(t.Context(), `
		ALTER TABLE ledger_checkpoints DISABLE TRIGGER USER;
		DELETE FROM ledger_checkpoints WHERE number = 3`)
	require.NoError(t, err)
	code, _, _ = ledger(t, "", onlyURL, "verify")
	require.Zero(t, code, "nothing in the database tells")
	code, out, problems = ledger(t, "", onlyURL, "verify", "--checkpoints", keep(second+third))
	require.Equal(t, 1, code)
	require.Empty(t, out)
	require.Contains(t, problems, "authservice: the ledger is broken: kept checkpoint 3: the newest of the database is number 2: it was taken back to a state before ")

	// … and gives somebody credits.
	_, err = owner.Exec(t.Context(), "UPDATE credit_accounts SET balance = balance + 1 WHERE user_id = $1", user.id())
	require.NoError(t, err)
	code, out, problems = ledger(t, "", onlyURL, "verify", "--json")
	require.Equal(t, 1, code)
	require.NoError(t, json.Unmarshal([]byte(out), &verdict))
	require.False(t, verdict.Sound)
	require.Equal(t, &ledgerproof.Break{UserID: user.id(), Problem: "its balance is 750001, but its records make it 750000"}, verdict.Break)
	require.Equal(t, "authservice: the ledger is broken: account "+user.id().String()+": its balance is 750001, but its records make it 750000\n", problems)
}

func TestLedger_CannotBeVerified(t *testing.T) {
	t.Parallel()
	url := "DATABASE_URL=" + pgtest.New(t).URL
	for name, c := range map[string]struct {
		environ []string
		args    []string
		want    string
	}{
		"NoDatabase":      {nil, []string{"verify"}, `DATABASE_URL: `},
		"WrongDatabase":   {[]string{"DATABASE_URL=postgres://127.0.0.1:1/x?sslmode=disable"}, []string{"verify"}, `DATABASE_URL: reaching the database: `},
		"NotMigrated":     {[]string{"DATABASE_URL=" + pgtest.Empty(t)}, []string{"verify"}, ` migrations are missing`},
		"NoFile":          {[]string{url}, []string{"verify", "--checkpoints", "/nowhere"}, `--checkpoints /nowhere: open /nowhere: `},
		"NoCheckpoints":   {[]string{url}, []string{"verify", "--checkpoints", "-"}, `--checkpoints -: it has no checkpoints`},
		"NoKeyToSignWith": {[]string{url}, []string{"checkpoint"}, `AUTH_ENCRYPTION_KEY: is required`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, problems := ledger(t, "", c.environ, c.args...)
			require.Equal(t, 1, code)
			require.Empty(t, out)
			require.Regexp(t, "^authservice: (.*\n)*.*"+regexp.QuoteMeta(c.want), problems)
			require.NotContains(t, problems, "broken")
		})
	}
}

func TestLedger_NoCheckpoints(t *testing.T) {
	t.Parallel()
	s := startService(t, "AUTH_LEDGER_CHECKPOINT_INTERVAL=0")
	// Jobs that are due when the service starts have been found to be so.
	require.Eventually(t, func() bool {
		var kinds int
		err := s.db.Pool.QueryRow(t.Context(), "SELECT count(DISTINCT kind) FROM river_job WHERE kind IN ('every:clean_up', 'every:rotate_signing_keys')").Scan(&kinds)
		return err == nil && kinds == 2
	}, 20*time.Second, 10*time.Millisecond)
	var due int
	require.NoError(t, s.db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM river_job WHERE kind = 'every:ledger_checkpoint'").Scan(&due))
	require.Zero(t, due)
}

func TestLedgerProgress(t *testing.T) {
	t.Parallel()
	require.Equal(t, "1,999 of 20,000 accounts, 12,345,678 of 123,456,789 transactions, 1,234,567/s", progress(ledgerproof.Progress{
		Accounts: 1999, AllAccounts: 20_000, Transactions: 12_345_678, AllTransactions: 123_456_789, Took: 10 * time.Second,
	}))
	require.Equal(t, "0 of 7 accounts, 0 of 100 transactions, 0/s", progress(ledgerproof.Progress{AllAccounts: 7, AllTransactions: 100}))
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1: "-1", -100: "-100", -1000: "-1,000", 9007199254740991: "9,007,199,254,740,991"} {
		require.Equal(t, want, grouped(n))
	}
	require.Equal(t, "1, 4–7, 9", ranges([]int64{1, 4, 5, 6, 7, 9}))
}
