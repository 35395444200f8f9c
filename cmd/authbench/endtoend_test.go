package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// authbench builds the service, measures it beside the bare server, says what
// came of it, and leaves nothing behind. How fast anything is does not matter.
func TestRun_EndToEnd(t *testing.T) {
	t.Parallel()
	args := "http me balance mixed footprint load --users 20 --transactions 200 -c 4 -d 2s --warmup 0s --rounds 1 --accounts 50 --json"
	var stdout, stderr bytes.Buffer
	require.Equal(t, 0, run(t.Context(), strings.Fields(args), &stdout, &stderr), &stderr)

	var got report
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &got))
	require.True(t, got.Machine.Durable)
	require.NotEmpty(t, got.Machine.PostgreSQL)
	require.Len(t, got.Facts, 3)
	var names []string
	for _, r := range got.Results {
		names = append(names, r.Scenario)
		require.Positive(t, r.Requests, r.Name)
		require.Empty(t, r.Failures, r.Name)
		require.Positive(t, r.Latency.P99, r.Name)
		if r.Scenario != "mixed" {
			require.NotNil(t, r.Floor, r.Name)
			require.Positive(t, r.Floor.Rate, r.Name)
		}
	}
	require.Equal(t, []string{"http", "me", "balance", "mixed"}, names)
	require.Contains(t, stderr.String(), "writing 20 users with 200 transactions")
}

// Ctrl-C ends it in the middle.
func TestRun_Interrupted(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout bytes.Buffer
	stderr := &trigger{on: "GET /health/live", do: cancel}
	require.Equal(t, 130, run(ctx, strings.Fields("http -d 1h --api-key ask_01a20a8269787126b03260ccbe778c84_5e --url "+server.URL), &stdout, stderr), stderr)
	require.Empty(t, stdout.String())
	require.Contains(t, stderr.String(), "interrupted")
}

// trigger does something when a text was written.
type trigger struct {
	bytes.Buffer
	on string
	do func()
}

func (t *trigger) Write(b []byte) (int, error) {
	n, err := t.Buffer.Write(b)
	if strings.Contains(t.String(), t.on) {
		t.do()
	}
	return n, err
}
