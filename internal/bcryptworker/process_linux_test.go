package bcryptworker

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sys/unix"
)

// pid is that of the process that this test started.
func pid(t *testing.T) (pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		files, err := filepath.Glob("/proc/[0-9]*/cmdline")
		require.NoError(t, err)
		for _, file := range files {
			line, _ := os.ReadFile(file)
			if strings.HasSuffix(string(line), "\x00"+working+"\x00"+t.Name()+"\x00") {
				pid, err = strconv.Atoi(filepath.Base(filepath.Dir(file)))
				require.NoError(t, err)
			}
		}
		return pid != 0
	}, soon, time.Millisecond)
	return pid
}

// What was asked when the process died is done all the same, and it comes back.
func TestProcess_Killed(t *testing.T) {
	t.Parallel()
	p, log, _ := start(t)
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	require.NoError(t, err)
	killed, worker := p.client.Load(), pid(t)
	require.NoError(t, syscall.Kill(worker, syscall.SIGSTOP))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			r, err := p.Do(Work{Password: []byte("right"), Hash: hash})
			require.NoError(t, err)
			require.True(t, r.Match)
		})
	}
	require.NoError(t, syscall.Kill(worker, syscall.SIGKILL))
	all.Wait()
	require.Eventually(t, func() bool { c := p.client.Load(); return c != nil && c != killed }, soon, time.Millisecond)
	r, err := p.asked(Work{Password: []byte("right"), Hash: hash})
	require.NoError(t, err)
	require.True(t, r.Match)
	require.Contains(t, log.String(), "signal: killed")
}

// The process gives way in all its threads, and nobody else does; and it has no
// secret but those that it is asked about.
func TestProcess_GivesWay(t *testing.T) {
	t.Parallel()
	// The system call's value is 20 less the niceness.
	priority := func(thread int) int {
		p, err := unix.Getpriority(unix.PRIO_PROCESS, thread)
		require.NoError(t, err)
		return p
	}
	ours := priority(0)
	p, _, _ := start(t)
	_, err := p.asked(Work{Idle: []int{bcrypt.MinCost}})
	require.NoError(t, err)
	child := pid(t)
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", child))
	require.NoError(t, err)
	require.Greater(t, len(threads), 1)
	for _, thread := range threads {
		id, err := strconv.Atoi(filepath.Base(thread))
		require.NoError(t, err)
		require.Equal(t, min(ours, 20-niceness), priority(id))
	}
	require.Equal(t, ours, priority(0))

	group := fmt.Sprintf("/proc/%d/autogroup", child)
	if _, err := os.Stat(group); err == nil { // A kernel may know none.
		last := func() bool {
			is, _ := os.ReadFile(group)
			return strings.HasSuffix(string(is), fmt.Sprintf(" nice %d\n", niceness))
		}
		require.Eventually(t, last, soon, time.Millisecond)
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", child))
	require.NoError(t, err)
	require.Equal(t, "GOMAXPROCS=3\x00", string(environ))
}

// Work offers the processor to others: of two that share one, either is interrupted
// far more often than the kernel would do it by itself, every few milliseconds.
// Others who want that processor as well can hide it at times, not for long.
func TestWork_Pauses(t *testing.T) {
	t.Parallel()
	var all, one unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &all))
	for cpu := 0; one.Count() == 0; cpu++ {
		if all.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	interrupted := func() bool {
		var both sync.WaitGroup
		times := make(chan int64, 2)
		both.Add(cap(times))
		for range cap(times) {
			go func() {
				runtime.LockOSThread() // And it ends with us, as it keeps to one processor.
				err := unix.SchedSetaffinity(0, &one)
				both.Done()
				both.Wait()
				var before, after unix.Rusage
				if err == nil && unix.Getrusage(unix.RUSAGE_THREAD, &before) == nil {
					_, _ = Work{Idle: []int{9}}.Do()
					_ = unix.Getrusage(unix.RUSAGE_THREAD, &after)
				}
				times <- after.Nivcsw + after.Nvcsw - before.Nivcsw - before.Nvcsw
			}()
		}
		return max(<-times, <-times) > 40 // in 512 rounds, which are 25 ms of work
	}
	require.Eventually(t, interrupted, soon, time.Millisecond)
}
