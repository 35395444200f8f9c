package faults

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// daemon is a program of the system that runs beside a test.
type daemon struct {
	t      testing.TB
	name   string
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
}

// room is a directory for daemons, which refuse to run as root: they run as
// postgres then, whose it is.
type room struct {
	dir  string
	attr syscall.SysProcAttr
	own  func(path string) error
}

func newRoom(t testing.TB) *room {
	t.Helper()
	dir, err := os.MkdirTemp("", "faults-") // not below a directory that only root may enter
	require.NoError(t, err)
	r := &room{dir: dir, attr: syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}, own: func(string) error { return nil }}
	if os.Geteuid() == 0 {
		postgres, err := user.Lookup("postgres")
		require.NoError(t, err)
		uid, err := strconv.Atoi(postgres.Uid)
		require.NoError(t, err)
		gid, err := strconv.Atoi(postgres.Gid)
		require.NoError(t, err)
		r.attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)} //nolint:gosec // of the system's own
		r.own = func(path string) error { return os.Chown(path, uid, gid) }
	}
	require.NoError(t, r.own(dir))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return r
}

// write makes a file in the room, and returns its path.
func (r *room) write(t testing.TB, name, content string) (path string) {
	t.Helper()
	path = filepath.Join(r.dir, name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	require.NoError(t, r.own(path))
	return path
}

// start runs a program until the test ends.
func (r *room) start(t testing.TB, name, program string, args ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, name: name, log: filepath.Join(r.dir, name+".log"), exited: make(chan struct{})}
	log, err := os.Create(d.log)
	require.NoError(t, err)
	defer log.Close()
	d.cmd = exec.Command(program, args...) //nolint:gosec,noctx // of the test's own choosing, and ended by it
	d.cmd.Dir, d.cmd.Stdout, d.cmd.Stderr = r.dir, log, log
	d.cmd.Env = []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "HOME=" + r.dir, "LC_ALL=C.UTF-8"}
	attr := r.attr
	d.cmd.SysProcAttr = &attr
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // its end would be the daemon's, by Pdeathsig
		defer runtime.UnlockOSThread()
		err := d.cmd.Start()
		started <- err
		if err == nil {
			_ = d.cmd.Wait()
			close(d.exited)
		}
	}()
	require.NoError(t, <-started, "%s must be installed", program)
	t.Cleanup(d.kill)
	return d
}

// kill is kill -9 of the daemon and of what it started.
func (d *daemon) kill() {
	_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
	<-d.exited
}

// until waits for a condition, and fails with the daemon's last words if it ends before.
func (d *daemon) until(patience time.Duration, what string, is func() bool) {
	d.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		select {
		case <-d.exited:
			d.t.Fatalf("%s has ended:\n%s", d.name, d.said())
		default:
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("%s: %s takes too long:\n%s", d.name, what, d.said())
		}
	}
}

func (d *daemon) said() string {
	text, err := os.ReadFile(d.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// listens reports whether anybody does.
func listens(address string) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).Dial("tcp", address)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// freeAddresses are some of this machine where nobody listens.
func freeAddresses(t testing.TB, n int) (addresses []string) {
	t.Helper()
	listeners := make([]net.Listener, n) // all at once, so that all are different
	for i := range listeners {
		var err error
		listeners[i], err = net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		addresses = append(addresses, listeners[i].Addr().String())
	}
	for _, l := range listeners {
		_ = l.Close()
	}
	return addresses
}

func portOf(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		panic(fmt.Sprint(address, ": ", err))
	}
	return port
}
