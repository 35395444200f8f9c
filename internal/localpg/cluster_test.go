package localpg

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "with space", "dev")

	c := started(t, dir)
	url := c.URL("postgres")
	keep(t, url, "restart")
	require.Equal(t, "127.0.0.1", query(t, url, "SHOW listen_addresses"))
	require.Empty(t, query(t, url, "SHOW unix_socket_directories"))
	require.Equal(t, "100", query(t, url, "SHOW max_connections"))
	require.Equal(t, "on", query(t, url, "SHOW fsync"))
	require.Equal(t, "UTF8", query(t, url, "SHOW server_encoding"))
	require.NoError(t, c.Stop())
	require.NoError(t, c.Stop(), "Stop is idempotent")
	<-c.Exited()

	c, err := Start(t.Context(), Options{Dir: dir, MaxConnections: 17})
	require.NoError(t, err)
	defer c.Stop()
	require.Equal(t, url, c.URL("postgres"), "port and password are remembered")
	require.Equal(t, "restart", query(t, url, "SELECT x FROM kept"))
	require.Equal(t, "off", query(t, url, "SHOW fsync"))
	require.Equal(t, "17", query(t, url, "SHOW max_connections"))
	log, err := os.ReadFile(filepath.Join(dir, "postgres.log"))
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(log), "starting PostgreSQL"), "the log does not grow for ever")
}

func TestStart_PasswordIsNeededAndKeptPrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := started(t, dir)

	config, err := pgx.ParseConfig(c.URL("postgres"))
	require.NoError(t, err)
	secret := config.Password
	config.Password = "wrong"
	_, err = pgx.ConnectConfig(t.Context(), config)
	require.ErrorContains(t, err, "28P01")

	for _, name := range []string{"password", "postgres.log", "lock", "port"} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), name)
	}
	log, err := os.ReadFile(filepath.Join(dir, "postgres.log"))
	require.NoError(t, err)
	require.NotEmpty(t, log)
	require.NotContains(t, string(log), secret)
	require.NotContains(t, commandLine(c.server.pid), secret)
}

func TestStart_PortTaken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, writePort(dir, taken))

	c := started(t, dir)
	require.NotEqual(t, taken, c.port)
	require.Equal(t, "1", query(t, c.URL("postgres"), "SELECT '1'"))
	remembered, err := readPort(dir)
	require.NoError(t, err)
	require.Equal(t, c.port, remembered)
}

func TestStart_Locked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := otherProcess(t, "start", dir)
	other.says(t, "ready")

	_, err := Start(t.Context(), Options{Dir: dir})
	var locked *LockedError
	require.ErrorAs(t, err, &locked)
	require.Equal(t, other.Process.Pid, locked.PID)
	require.ErrorContains(t, err, "process "+strconv.Itoa(other.Process.Pid))

	other.leave(t)
	started(t, dir)
}

func TestStart_AfterKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := otherProcess(t, "start", dir)
	url := other.says(t, "ready")
	keep(t, url, "killed")
	left, err := findPostmaster(filepath.Join(dir, "data"))
	require.NoError(t, err)
	other.kill(t)

	c := started(t, dir)
	require.NotEqual(t, left.pid, c.server.pid)
	require.False(t, left.running())
	require.Equal(t, "killed", query(t, c.URL("postgres"), "SELECT x FROM kept"))
}

// A server outlives its owner where the kernel has no parent-death signal. One
// that was started to be shared stands in for it.
func TestStart_StopsWhatWasLeftRunning(t *testing.T) {
	t.Parallel()
	o, err := Options{Dir: t.TempDir()}.prepare()
	require.NoError(t, err)
	left, err := locator(locate).launch(t.Context(), o, outliveUs)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, left.server.stop()) })
	keep(t, left.URL("postgres"), "left")

	c := started(t, o.Dir)
	require.False(t, left.server.running())
	require.Equal(t, "left", query(t, c.URL("postgres"), "SELECT x FROM kept"))
}

// A pid file whose pid now belongs to another process must neither block the
// start nor cost that process its life.
func TestStart_StalePidFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, started(t, dir).Stop())
	file := filepath.Join(dir, "data", "postmaster.pid")
	require.NoError(t, os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())+"\n"+dir+"\n"), 0o600))

	started(t, dir)
}

func TestStart_AfterKillOfServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := started(t, dir)
	keep(t, c.URL("postgres"), "crashed")
	require.NoError(t, syscall.Kill(c.server.pid, syscall.SIGKILL))
	<-c.Exited()
	require.NoError(t, c.Stop())

	c = started(t, dir)
	require.Equal(t, "crashed", query(t, c.URL("postgres"), "SELECT x FROM kept"))
}

func TestStart_InterruptedInit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := otherProcess(t, "start", dir)
	other.says(t, "progress")
	require.Eventually(t, func() bool {
		halfMade, _ := filepath.Glob(filepath.Join(dir, "init-*", "data", "PG_VERSION"))
		return len(halfMade) == 1
	}, waitFor, time.Millisecond)
	other.kill(t)
	require.NoDirExists(t, filepath.Join(dir, "data"))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "init-older", "data", "base"), 0o700))

	c := started(t, dir)
	require.Equal(t, "1", query(t, c.URL("postgres"), "SELECT '1'"))
	require.NoDirExists(t, filepath.Join(dir, "init-older"))
}

// Not every system has C.UTF-8. An initdb that says so stands in for one.
func TestStart_LocaleUnknown(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(bin), 0o755)) // as root, another user runs it
	find := func(ctx context.Context, o Options, major int) (binaries, error) {
		real, err := locate(ctx, o, major)
		require.NoError(t, err)
		script := "#!/bin/sh\ncase \"$*\" in *C.UTF-8*) echo invalid locale; exit 1; esac\nexec " + real.dir + "/initdb \"$@\"\n"
		require.NoError(t, os.WriteFile(filepath.Join(bin, "initdb"), []byte(script), 0o755))
		require.NoError(t, os.Symlink(filepath.Join(real.dir, "postgres"), filepath.Join(bin, "postgres")))
		return binaries{dir: bin, major: real.major}, nil
	}
	c, err := start(t.Context(), Options{Dir: t.TempDir()}, find)
	require.NoError(t, err)
	defer c.Stop()
	require.Equal(t, "C", query(t, c.URL("postgres"), "SELECT datctype FROM pg_database WHERE datname = 'postgres'"))
	require.Equal(t, "UTF8", query(t, c.URL("postgres"), "SHOW server_encoding"))
}

func TestStart_Cancelled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Start(ctx, Options{Dir: dir, Progress: func(string) { cancel() }})
	require.ErrorIs(t, err, context.Canceled)

	// The same again, with the server's start instead of initdb.
	require.NoError(t, started(t, dir).Stop())
	ctx, cancel = context.WithCancel(t.Context())
	_, err = start(ctx, Options{Dir: dir}, func(_ context.Context, o Options, major int) (binaries, error) {
		b, err := locate(t.Context(), o, major)
		cancel()
		return b, err
	})
	require.ErrorIs(t, err, context.Canceled)
	_, err = findPostmaster(filepath.Join(dir, "data"))
	require.Error(t, err)

	started(t, dir)
}

func TestStart_SaysWhatTheServerSaid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, started(t, dir).Stop())
	require.NoError(t, os.Remove(filepath.Join(dir, "data", "global", "pg_control")))

	_, err := Start(t.Context(), Options{Dir: dir})
	require.ErrorContains(t, err, "pg_control")
	require.ErrorContains(t, err, "postgres.log")
}

func TestStart_PasswordLost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, started(t, dir).Stop())
	require.NoError(t, os.Remove(filepath.Join(dir, "password")))

	_, err := Start(t.Context(), Options{Dir: dir})
	require.ErrorContains(t, err, "password is lost")
}

func TestStart_DataOfAnotherVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "data"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("8\n"), 0o600))

	_, err := Start(t.Context(), Options{Dir: dir})
	require.ErrorContains(t, err, "made by PostgreSQL 8")
	require.ErrorContains(t, err, "install PostgreSQL 8")
}

func TestCluster_Exited(t *testing.T) {
	t.Parallel()
	c := started(t, t.TempDir())
	select {
	case <-c.Exited():
		require.Fail(t, "the server runs")
	default:
	}
	require.NoError(t, syscall.Kill(c.server.pid, syscall.SIGINT))
	select {
	case <-c.Exited():
	case <-time.After(waitFor):
		require.Fail(t, "the server's end was not noticed")
	}
}

// As root this is a directory that the server's account cannot reach; as an
// ordinary user it is the usual private one. Both must work, and stay private.
func TestStart_PrivateParent(t *testing.T) {
	t.Parallel()
	parent := filepath.Join(t.TempDir(), "private")
	require.NoError(t, os.Mkdir(parent, 0o700))
	dir := filepath.Join(parent, "dev")

	other := otherProcess(t, "start", dir)
	keep(t, other.says(t, "ready"), "private")
	left, err := findPostmaster(filepath.Join(dir, "data"))
	require.NoError(t, err)
	other.kill(t)
	require.Eventually(t, func() bool { return !left.running() }, waitFor, pollInterval,
		"the lent right must not cost the signal that ends the server")

	c := started(t, dir)
	require.Equal(t, "private", query(t, c.URL("postgres"), "SELECT x FROM kept"))
	info, err := os.Stat(parent)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	info, err = os.Stat(filepath.Join(dir, "data"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	if os.Geteuid() == 0 {
		require.NotZero(t, info.Sys().(*syscall.Stat_t).Uid, "root must not own the data")
	}
}
