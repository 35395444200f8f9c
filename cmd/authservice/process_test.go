package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgtest"
)

// processKey is the encryption key of services that share a database.
const processKey = "AUTH_ENCRYPTION_KEY=6OOUVzmyc5NXWmvzkyJ6jCl6q9mZ0fCqTn2wZ2vZ0hE="

// process is a service in a process of its own, which can be told to stop as an
// operator does, and whose memory and connections are nobody else's.
type process struct {
	*service
	cmd    *exec.Cmd
	exited chan struct{}
}

// startProcess runs `authservice serve` on a migrated database until the test ends.
func startProcess(t *testing.T, db *pgtest.Database, settings ...string) *process {
	t.Helper()
	p := &process{exited: make(chan struct{}), service: &service{
		db: db, logs: &lockedBuffer{},
		environ: environOn(db, append([]string{processKey, "AUTH_RATE_LIMIT_ENABLED=false"}, settings...)...),
	}}
	p.cmd = exec.Command(os.Args[0], "serve")
	p.cmd.Env = slices.Concat(cleanEnviron, []string{asProgram + "=1"}, p.environ)
	p.cmd.Stderr = p.logs
	reader, writer := io.Pipe()
	p.cmd.Stdout = writer
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		_ = writer.Close()
		close(p.exited)
	}()
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.exited })

	ready := make(chan struct{})
	go p.follow(reader, ready)
	select {
	case <-ready:
	case <-p.exited:
		t.Fatalf("the service exited:\n%s", p.logs)
	case <-time.After(time.Minute):
		t.Fatalf("the service is not ready:\n%s", p.logs)
	}
	return p
}

// signal sends one to the process.
func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(s))
}

// wait is for the process to end; it returns its state.
func (p *process) wait(t *testing.T) *os.ProcessState {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(time.Minute):
		t.Fatalf("the service does not stop:\n%s", p.logs)
	}
	return p.cmd.ProcessState
}

// metric reads one number from /metrics.
func (s *service) metric(t *testing.T, name string) float64 {
	t.Helper()
	for line := range strings.Lines(s.operations(t, "/metrics")) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			require.NoError(t, err)
			return n
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// connections is how many of both listeners are being served, this one included.
func (s *service) connections(t *testing.T) (n int) {
	t.Helper()
	for group := range strings.SplitSeq(s.operations(t, "/debug/pprof/goroutine?debug=1"), "\n\n") {
		if strings.Contains(group, "net/http.(*conn).serve+") {
			count, _, _ := strings.Cut(strings.TrimSpace(group), " ")
			i, err := strconv.Atoi(count)
			require.NoError(t, err, group)
			n += i
		}
	}
	return n
}

func (s *service) operations(t *testing.T, path string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.opsURL+path, nil)
	require.NoError(t, err)
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}
