package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgtest"
)

// worker is the process that hashes for this one, 0 for none.
func (p *process) worker(t *testing.T) int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, file := range files {
		stat, _ := os.ReadFile(file)
		command, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
		_, rest, _ := strings.Cut(string(stat), ") ") // then state and parent, proc(5)
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(p.cmd.Process.Pid) && strings.HasSuffix(string(command), bcryptWorkerName+"\x00") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			require.NoError(t, err)
			return pid
		}
	}
	return 0
}

// hired waits for it.
func (p *process) hired(t *testing.T) (worker int) {
	t.Helper()
	require.Eventually(t, func() bool { worker = p.worker(t); return worker != 0 }, eventually, aMoment)
	return worker
}

// caught stops the worker where it is, with people's passwords in its hands; they
// are in when all is done.
func (p *process) caught(t *testing.T) (worker int, people *sync.WaitGroup) {
	t.Helper()
	worker, people = p.hired(t), &sync.WaitGroup{}
	p.user(t) // The worker has begun, and knows what to do with signals.
	require.NoError(t, syscall.Kill(worker, syscall.SIGSTOP))
	var in atomic.Int64
	for range 4 {
		people.Go(func() { p.user(t); in.Add(1) })
	}
	slots := p.metric(t, "authservice_password_hash_slots")
	full := func() bool { return p.metric(t, "authservice_password_hashes_running") == slots }
	require.Eventually(t, full, eventually, aMoment)
	require.Zero(t, in.Load(), "nobody else hashes")
	return worker, people
}

// Passwords are hashed by a process that may be killed at any time.
func TestBcryptWorker(t *testing.T) {
	t.Parallel()
	p := startProcess(t, pgtest.New(t))
	killed, people := p.caught(t)
	require.NoError(t, syscall.Kill(killed, syscall.SIGKILL))
	people.Wait()
	var worker int
	again := func() bool { worker = p.worker(t); return worker != 0 && worker != killed }
	require.Eventually(t, again, eventually, aMoment)
	require.Contains(t, p.logs.String(), "signal: killed")

	require.NoError(t, p.cmd.Process.Kill())
	<-p.exited
	gone := func() bool { return syscall.Kill(worker, 0) != nil }
	require.Eventually(t, gone, eventually, aMoment, "it does not outlive the service")
}

// systemd and others ask all processes to stop, not the first alone: what hashes
// passwords goes on until the requests under way are answered.
func TestBcryptWorker_StopsLast(t *testing.T) {
	t.Parallel()
	p := startProcess(t, pgtest.New(t))
	worker, people := p.caught(t)
	require.NoError(t, syscall.Kill(worker, syscall.SIGTERM))
	p.signal(t, syscall.SIGTERM)
	require.Eventually(t, func() bool { return strings.Contains(p.logs.String(), "stopping") }, eventually, aMoment)
	require.NoError(t, syscall.Kill(worker, syscall.SIGCONT))
	people.Wait()
	require.Zero(t, p.wait(t).ExitCode(), p.logs)
	require.Error(t, syscall.Kill(worker, 0), "it is gone")
	require.NotContains(t, p.logs.String(), "gone")
}
