package localpg

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pollInterval is how often we look again where nothing tells us.
const pollInterval = 10 * time.Millisecond

// postmaster is the main process of a server: our child, or one that another
// process left behind.
type postmaster struct {
	pid    int
	data   string
	exited <-chan struct{} // closed when our child has ended; nil for another's
}

var errNotRunning = errors.New("no server is running")

// findPostmaster reads the pid file of a data directory. The file may be stale
// and its pid since taken by another process, so a process counts only when it
// is a postgres on this directory.
func findPostmaster(data string) (postmaster, error) {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return postmaster{}, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return postmaster{}, errNotRunning
	}
	p := postmaster{pid: pid, data: data}
	if !p.running() {
		return p, errNotRunning
	}
	return p, nil
}

func (p postmaster) running() bool {
	if p.exited != nil {
		// The command line would not do: a child has none for a moment after it began.
		select {
		case <-p.exited:
			return false
		default:
			return true
		}
	}
	if errors.Is(syscall.Kill(p.pid, 0), syscall.ESRCH) {
		return false
	}
	args := commandLine(p.pid)
	return strings.Contains(args, "postgres -D "+p.data+" ")
}

// stop ends the server: by a fast shutdown, then by an immediate one (the next
// start recovers), then for good.
func (p postmaster) stop() error {
	for _, step := range []struct {
		signal   syscall.Signal
		patience time.Duration
	}{{syscall.SIGINT, 10 * time.Second}, {syscall.SIGQUIT, 5 * time.Second}, {syscall.SIGKILL, 5 * time.Second}} {
		if !p.running() {
			return nil
		}
		if err := syscall.Kill(p.pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("localpg: stop PostgreSQL (process %d): %w", p.pid, err)
		}
		for deadline := time.Now().Add(step.patience); time.Now().Before(deadline); time.Sleep(pollInterval) {
			if !p.running() {
				return nil
			}
		}
	}
	return fmt.Errorf("localpg: PostgreSQL (process %d) does not stop", p.pid)
}

// clearOut stops a server that an earlier process left in the data directory,
// and removes a stale pid file: PostgreSQL takes it for real when its pid has
// been taken by another process.
func clearOut(o Options) error {
	p, err := findPostmaster(o.data())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err == nil:
		o.Progress("waiting for an earlier PostgreSQL to stop")
		if err := p.stop(); err != nil {
			return err
		}
	case !errors.Is(err, errNotRunning):
		return fmt.Errorf("localpg: %w", err)
	}
	if err := os.Remove(filepath.Join(o.data(), "postmaster.pid")); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("localpg: %w", err)
	}
	return nil
}
