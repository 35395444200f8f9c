package identity

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Passwords are hashed at low priority, and nothing else is: not what begins
// beside it either.
func TestHasher_GivesWay(t *testing.T) {
	t.Parallel()
	// The system call's value is 20 less the niceness.
	priority := func() int {
		p, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
		require.NoError(t, err)
		return p
	}
	before := priority()
	p := newHashPool(1, 1)
	for range 50 {
		var during int
		beside := make(chan int)
		require.NoError(t, p.do(t.Context(), func() error {
			during = priority()
			go func() { beside <- priority() }()
			return nil
		}))
		require.Equal(t, min(before, 20-niceness), during)
		require.Equal(t, before, <-beside)
		require.Equal(t, before, priority())
	}
}
