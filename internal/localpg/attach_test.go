package localpg

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// attachedPostmaster finds the one server below dir.
func attachedPostmaster(t *testing.T, dir string) postmaster {
	t.Helper()
	data, err := filepath.Glob(filepath.Join(dir, "pg*", "data"))
	require.NoError(t, err)
	require.Len(t, data, 1)
	p, err := findPostmaster(data[0])
	require.NoError(t, err)
	return p
}

// attached joins the cluster below dir; at the latest, it is released when the
// test ends.
func attached(t *testing.T, dir string) (*Cluster, func() error) {
	t.Helper()
	c, release, err := Attach(t.Context(), Options{Dir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, release()) })
	return c, release
}

func TestAttach_OneServerForAll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	others := []*process{otherProcess(t, "attach", dir), otherProcess(t, "attach", dir), otherProcess(t, "attach", dir)}
	c, release := attached(t, dir)
	for _, other := range others {
		require.Equal(t, c.URL("postgres"), other.says(t, "ready"))
	}
	server := attachedPostmaster(t, dir)

	// One of them started it. Whoever leaves first, the others keep it.
	for _, other := range others {
		other.leave(t)
		require.True(t, server.running())
	}
	require.Equal(t, "1", query(t, c.URL("postgres"), "SELECT '1'"))
	require.NoError(t, release())
	require.NoError(t, release(), "release is idempotent")
	require.False(t, server.running(), "the last one stops it")
}

func TestAttach_TwiceInOneProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c1, release1 := attached(t, dir)
	c2, release2 := attached(t, dir)
	require.Equal(t, c1.URL("postgres"), c2.URL("postgres"))

	require.NoError(t, release1())
	require.Equal(t, "1", query(t, c2.URL("postgres"), "SELECT '1'"))
	require.NoError(t, release2())
	require.False(t, c2.server.running())
}

func TestAttach_AfterKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := otherProcess(t, "attach", dir)
	url := other.says(t, "ready")
	keep(t, url, "shared")
	server := attachedPostmaster(t, dir)
	other.kill(t)
	require.True(t, server.running(), "a shared server outlives who started it")

	c, release := attached(t, dir)
	require.Equal(t, server.pid, c.server.pid, "and is used again")
	require.Equal(t, "shared", query(t, c.URL("postgres"), "SELECT x FROM kept"))

	require.NoError(t, syscall.Kill(server.pid, syscall.SIGKILL))
	require.Eventually(t, func() bool { return !server.running() }, waitFor, pollInterval)
	again, releaseAgain := attached(t, dir) // a dead server is started again
	require.NotEqual(t, server.pid, again.server.pid)

	require.NoError(t, release())
	require.True(t, again.server.running())
	require.NoError(t, releaseAgain())
	require.False(t, again.server.running())
}
