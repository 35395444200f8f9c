package localpg

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// TestMain lets the test binary be another process as well: see otherProcess.
func TestMain(m *testing.M) {
	switch os.Getenv("LOCALPG_TEST_DO") {
	case "start":
		o := otherOptions()
		o.Durable = true
		another(Start(context.Background(), o))
	case "attach":
		c, _, err := Attach(context.Background(), otherOptions())
		another(c, err)
	default:
		os.Exit(m.Run())
	}
}

func otherOptions() Options {
	return Options{Dir: os.Getenv("LOCALPG_TEST_DIR"), Progress: func(step string) { fmt.Println("progress", step) }}
}

// another is the other process: it runs until its standard input is closed.
func another(c *Cluster, err error) {
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("ready", c.URL("postgres"))
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := c.Stop(); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// waitFor is longer than anything takes that these tests wait for.
const waitFor = 20 * time.Second

type process struct {
	*exec.Cmd
	stdin io.Closer
	lines *bufio.Scanner
}

// otherProcess runs Start or Attach ("start", "attach") in another process.
func otherProcess(t *testing.T, do, dir string) *process {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	p := &process{Cmd: exec.Command(exe)}
	p.Env = append(os.Environ(), "LOCALPG_TEST_DO="+do, "LOCALPG_TEST_DIR="+dir)
	p.Stderr = os.Stderr
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	p.lines = bufio.NewScanner(out)
	p.stdin, err = p.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, p.Start())
	t.Cleanup(func() { _, _ = p.Process.Kill(), p.Wait() })
	return p
}

// says waits for a line that begins with the word and returns the rest of it.
func (p *process) says(t *testing.T, word string) string {
	t.Helper()
	for p.lines.Scan() {
		if rest, ok := strings.CutPrefix(p.lines.Text(), word+" "); ok {
			return rest
		}
		require.NotContains(t, p.lines.Text(), "error", "the other process failed")
	}
	require.Fail(t, "the other process ended without saying "+word)
	return ""
}

// leave has the process stop in order.
func (p *process) leave(t *testing.T) {
	t.Helper()
	require.NoError(t, p.stdin.Close())
	require.NoError(t, p.Wait())
}

// kill is kill -9.
func (p *process) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, p.Process.Kill())
	require.Error(t, p.Wait())
}

// query runs one statement and returns the value it yields, as text.
func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	var text string
	require.NoError(t, conn.QueryRow(t.Context(), sql, pgx.QueryExecModeSimpleProtocol).Scan(&text))
	return text
}

// execute runs one statement.
func execute(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

// keep stores something that a later query of SELECT x FROM kept finds.
func keep(t *testing.T, url, value string) {
	t.Helper()
	execute(t, url, "CREATE TABLE kept AS SELECT '"+value+"'::text AS x")
}

// started runs a cluster as dev does in dir that is stopped when the test ends.
func started(t *testing.T, dir string) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), Options{Dir: dir, Durable: true, Progress: func(step string) { t.Log(step) }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Stop()) })
	return c
}
