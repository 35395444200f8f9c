package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// lifetime says what becomes of a child process when we end.
type lifetime int

const (
	dieWithUs lifetime = iota
	outliveUs
)

// command prepares a program of PostgreSQL that works in dir as the account. It
// gets next to nothing of our environment: that may hold secrets, and PG…
// variables that are meant for another database.
func (a account) command(ctx context.Context, life lifetime, dir, program string, args ...string) (*exec.Cmd, error) {
	attr, err := a.attr(life, dir)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // a PostgreSQL binary that we found
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = attr
	return cmd, nil
}

// spawn starts cmd and tells when it has ended. A child that is to die with us
// is signalled by the kernel when the *thread* that forked it ends, so this
// thread is kept until the child is gone.
func spawn(cmd *exec.Cmd) (exited <-chan struct{}, err error) {
	started, done := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(done)
		}
	}()
	return done, <-started
}

// startError says what to do when the system does not let a process change its
// user or its rights, as in a restricted container.
func startError(err error, dir string) error {
	if errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("localpg: the system does not let us run PostgreSQL as another user who may enter %s (%w): run this as an ordinary user, or choose a directory that everyone may enter", dir, err)
	}
	return fmt.Errorf("localpg: start PostgreSQL: %w", err)
}

// lastLines is the end of a program's output, for an error message.
func lastLines(out []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
