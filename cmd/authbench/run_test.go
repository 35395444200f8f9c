package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRun_Refuses(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":                                   "name a scenario",
		"ledgers":                            `there is no scenario "ledgers"`,
		"ledger balances":                    `there is no scenario "balances"`,
		"ledger --no-such-flag":              "unknown flag",
		"ledger -c 0":                        "must be 1 or more",
		"ledger -d 10ms":                     "--duration must be 1s or more",
		"ledger --rounds 0":                  "must be 1 or more",
		"ledger --history -1":                "must not be negative",
		"growth --users 10 --transactions 9": "--transactions must not be fewer than --users",
		"ledger --api-key ask_1_2":           "go with --url",
		"ledger --disposable":                "go with --url",
		"me --url http://127.0.0.1:1":        "--url needs --api-key",
		"me --url http://127.0.0.1:1 --api-key x --dir y":                                      "not for --url",
		"me --url http://127.0.0.1:1 --api-key x --database-url postgres://z":                  "say --disposable",
		"me --url http://127.0.0.1:1 --api-key x --disposable":                                 "say --disposable",
		"me --url http://127.0.0.1:1 --api-key x":                                              "is no key of Auth Service",
		"me --url 127.0.0.1:1 --api-key ask_01a20a8269787126b03260ccbe778c84_5e":               "is no URL",
		"footprint --url http://127.0.0.1:1 --api-key ask_01a20a8269787126b03260ccbe778c84_5e": "not for --url",
		"ledger --url http://127.0.0.1:1 --api-key ask_01a20a8269787126b03260ccbe778c84_5e":    "give --database-url",
		"me -c 2 --url http://127.0.0.1:1 --api-key ask_01a20a8269787126b03260ccbe778c84_5e":   "connecting to the service",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			require.Equal(t, 1, run(t.Context(), strings.Fields(args), &stdout, &stderr))
			require.Contains(t, stderr.String(), want)
			require.Empty(t, stdout.String())
		})
	}
}

func TestRun_Help(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	require.Equal(t, 0, run(t.Context(), []string{"help"}, &stdout, &stderr))
	for _, s := range scenarios {
		require.Contains(t, stdout.String(), "  "+s.name+" ")
	}
	require.NotContains(t, stdout.String(), bareName)
}

func TestPrintTable(t *testing.T) {
	t.Parallel()
	service, database := 100.0, 50.0
	r := &result{
		Scenario: "ledger", Name: "debits", Rate: 5000, CPU: cpu{Service: &service, Database: &database},
		Failures: map[string]int64{"503": 7},
		Floor:    &floor{What: "raw SQL", Rate: 10000, CPU: cpu{Database: &database}},
	}
	r.Goals = []goal{ofFloor(r, 1), atMost("p99 in ms", 12, 50)}
	var out bytes.Buffer
	printTable(&out, []*result{r}, []fact{{"program", atMost("", 38, 40), "MB"}})
	for _, want := range []string{
		"ledger: debits", "5000", "10000", "0.50", "0.33", "raw SQL", "7 × 503",
		"rate / floor 0.50 (goal ≥ 1: missed)", "p99 in ms 12.00 (goal ≤ 50: reached)", "program: 38.00 MB (goal ≤ 40 MB: reached)",
	} {
		require.Contains(t, out.String(), want)
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 10_000_000: "10,000,000"} {
		require.Equal(t, want, number(n))
	}
}
