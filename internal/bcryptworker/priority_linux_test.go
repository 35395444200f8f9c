package bcryptworker

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sys/unix"
)

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

	group, err := os.ReadFile(fmt.Sprintf("/proc/%d/autogroup", child))
	if err == nil { // A kernel may know none.
		require.True(t, strings.HasSuffix(string(group), fmt.Sprintf(" nice %d\n", niceness)), string(group))
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", child))
	require.NoError(t, err)
	require.Equal(t, "GOMAXPROCS=3\x00", string(environ))
}

// Work offers the processor to others: of two that share one, each is interrupted
// far more often than the kernel would do it by itself, every few milliseconds.
func TestWork_Pauses(t *testing.T) {
	t.Parallel()
	var all, one unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &all))
	for cpu := 0; one.Count() == 0; cpu++ {
		if all.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	interrupted := make(chan int64, 2)
	for range cap(interrupted) {
		go func() {
			runtime.LockOSThread() // And it ends with us, as it keeps to one processor.
			var before, after unix.Rusage
			if unix.SchedSetaffinity(0, &one) == nil && unix.Getrusage(unix.RUSAGE_THREAD, &before) == nil {
				_, _ = Work{Idle: []int{9}}.Do()
				_ = unix.Getrusage(unix.RUSAGE_THREAD, &after)
			}
			interrupted <- after.Nivcsw + after.Nvcsw - before.Nivcsw - before.Nvcsw
		}()
	}
	for range cap(interrupted) {
		require.Greater(t, <-interrupted, int64(40), "in 512 rounds, which are 25 ms of work")
	}
}
