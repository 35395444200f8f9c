package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
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

// used is the processor time of a process so far, in ticks.
func used(t *testing.T, pid int) int {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(stat), ") ")
	ticks, err := strconv.Atoi(strings.Fields(rest)[11])
	require.NoError(t, err)
	return ticks
}

// Passwords are hashed by the other process, which may be killed at any time.
func TestBcryptWorker(t *testing.T) {
	t.Parallel()
	p := startProcess(t, pgtest.New(t), "AUTH_BCRYPT_COST=12")
	var worker int
	hired := func() bool { worker = p.worker(t); return worker != 0 }
	require.Eventually(t, hired, eventually, aMoment)
	p.user(t)
	require.Greater(t, used(t, worker), used(t, p.cmd.Process.Pid), "it does the work")

	var people sync.WaitGroup
	for range 4 {
		people.Go(func() { p.user(t) })
	}
	hashing := func() bool { return used(t, worker) > 0 && p.metric(t, "authservice_password_hashes_running") > 0 }
	require.Eventually(t, hashing, eventually, aMoment)
	require.NoError(t, syscall.Kill(worker, syscall.SIGKILL))
	people.Wait() // Everybody is in.
	killed := worker
	require.Eventually(t, hired, eventually, aMoment, "it is started again")
	require.NotEqual(t, killed, worker)
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
	p := startProcess(t, pgtest.New(t), "AUTH_BCRYPT_COST=12")
	var worker int
	require.Eventually(t, func() bool { worker = p.worker(t); return worker != 0 }, eventually, aMoment)
	var people sync.WaitGroup
	for range 4 {
		people.Go(func() { p.user(t) })
	}
	require.Eventually(t, func() bool { return p.metric(t, "authservice_password_hashes_running") > 0 }, eventually, aMoment)
	require.NoError(t, syscall.Kill(worker, syscall.SIGTERM))
	p.signal(t, syscall.SIGTERM)
	people.Wait()
	require.Zero(t, p.wait(t).ExitCode(), p.logs)
	require.Error(t, syscall.Kill(worker, 0), "it is gone")
	require.NotContains(t, p.logs.String(), "gone")
}
