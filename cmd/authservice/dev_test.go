package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

// devProcess is `authservice dev --json` in a process of its own.
type devProcess struct {
	cmd    *exec.Cmd
	info   devInfo
	stdout *bufio.Reader
	stderr *lockedBuffer
}

// cleanEnviron is what this process was started with, without settings of ours:
// those of the person who runs the tests, and those that config.Load puts into
// the environment for a moment, for the other tests.
var cleanEnviron = slices.DeleteFunc(os.Environ(), func(entry string) bool {
	return strings.HasPrefix(entry, "DATABASE_URL=") || strings.HasPrefix(entry, "AUTH_")
})

func devCmd(dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "dev", "--json")
	cmd.Env = append(slices.Clip(cleanEnviron), asProgram+"=1", "AUTH_DEV_DIR="+dir, "AUTH_HTTP_ADDR=127.0.0.1:0", "AUTH_OPS_ADDR=127.0.0.1:0", "AUTH_BCRYPT_COST=4",
		// Empty is none: neither hides a default of dev.
		"DATABASE_URL=", "AUTH_ENV=", "AUTH_ENCRYPTION_KEY=")
	return cmd
}

func startDev(t *testing.T, dir string) *devProcess {
	t.Helper()
	p := &devProcess{cmd: devCmd(dir), stderr: &lockedBuffer{}}
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() })
	p.stdout = bufio.NewReader(stdout)
	line, err := p.stdout.ReadBytes('\n')
	require.NoError(t, err, p.stderr.String())
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&p.info))
	return p
}

// interrupt is Ctrl-C. Standard output must have held the one line only.
func (p *devProcess) interrupt(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	rest, err := p.stdout.ReadString(0)
	require.Error(t, err)
	require.Empty(t, rest)
	require.NoError(t, p.cmd.Wait(), p.stderr.String())
}

func (p *devProcess) as(t *testing.T, header, value string) *caller {
	t.Helper()
	return (&service{url: p.info.BaseURL}).as(t, header, value)
}

func (p *devProcess) logIn(t *testing.T, l login) *caller {
	t.Helper()
	r, err := p.as(t, "", "").LogInWithResponse(t.Context(), authclient.LoginRequest{Email: l.Email, Password: l.Password})
	require.NoError(t, err)
	require.NotNil(t, r.JSON200, string(r.Body))
	return (&service{url: p.info.BaseURL}).withSession(t, *r.JSON200)
}

func TestDev(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startDev(t, dir)

	// What it printed works.
	require.Equal(t, first.info.BaseURL+"/dev/mail", *first.info.MailboxURL)
	admin, user := first.logIn(t, first.info.Admin), first.logIn(t, first.info.User)
	require.Equal(t, authclient.UserRoleAdmin, admin.session.User.Role)
	balance := user.balance(t)
	require.Positive(t, balance.Held)
	require.Positive(t, balance.Available)
	backend := first.as(t, "X-API-Key", first.info.APIKey)
	backend.grant(t, user.id(), 1)
	for _, url := range []string{first.info.DocsURL, first.info.OpsURL + "/metrics"} {
		response, err := http.Get(url)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, 200, response.StatusCode, url)
	}
	requireRoles(t, first.info)

	// A second one on the same directory refuses.
	second, err := devCmd(dir).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(second), "AUTH_DEV_DIR")

	// Data and logins survive Ctrl-C and kill -9; nothing blocks the next start.
	first.interrupt(t)
	requireNobody(t, first.info)
	next := startDev(t, dir)
	require.NoError(t, next.cmd.Process.Kill())
	_ = next.cmd.Wait()
	last := startDev(t, dir)
	require.Equal(t, first.info.Admin, last.info.Admin)
	require.Equal(t, first.info.APIKey, last.info.APIKey)
	after := last.logIn(t, last.info.User).balance(t)
	require.Equal(t, []int64{balance.Balance + 1, balance.Held}, []int64{after.Balance, after.Held}, "granted once, held once, kept")
	last.interrupt(t)
	requireNobody(t, last.info)
}

// The service's own login cannot rewrite history; the owner's can migrate.
func requireRoles(t *testing.T, info devInfo) {
	t.Helper()
	for url, want := range map[string]string{info.DatabaseURL: "42501", info.OwnerDatabaseURL: ""} {
		conn, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), "CREATE TABLE probe (); DROP TABLE probe")
		if want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, want)
		}
		require.NoError(t, conn.Close(t.Context()))
	}
}

// Nothing that dev started is left.
func requireNobody(t *testing.T, info devInfo) {
	t.Helper()
	cfg, err := pgx.ParseConfig(info.DatabaseURL)
	require.NoError(t, err)
	address := net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port)))
	require.Eventually(t, func() bool {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, 10*time.Second, 50*time.Millisecond)
}

func TestDev_StopsWhenPostgreSQLDoes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startDev(t, dir)
	pidFile, err := os.ReadFile(filepath.Join(dir, "postgresql", "data", "postmaster.pid"))
	require.NoError(t, err)
	line, _, _ := strings.Cut(string(pidFile), "\n")
	pid, err := strconv.Atoi(line)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGQUIT))
	require.Error(t, p.cmd.Wait())
	require.Contains(t, p.stderr.String(), "PostgreSQL has stopped")
}

func TestDev_AddressInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	cmd := devCmd(t.TempDir())
	cmd.Env = append(cmd.Env, "AUTH_HTTP_ADDR="+taken.Addr().String())
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "AUTH_HTTP_ADDR: ")
}
