//go:build npm

package localpg

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The real thing, over the network: go test -tags npm ./internal/localpg -run NPM
func TestNPM(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(cache), 0o755)) // as root, another user runs what we fetch
	var fetches atomic.Int32
	o := Options{Dir: filepath.Join(t.TempDir(), "dev"), Progress: func(step string) {
		t.Log(step)
		if strings.HasPrefix(step, "fetching") {
			fetches.Add(1)
		}
	}}
	as, err := serverAccount("")
	require.NoError(t, err)
	find := func(ctx context.Context, o Options, _ int) (binaries, error) { return fetchInto(ctx, o, as, cache) }

	// Two at once: one fetches, the other finds the result.
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			b, err := find(t.Context(), o, 0)
			assert.NoError(t, err)
			assert.Equal(t, npmMajor, b.major)
		})
	}
	both.Wait()
	require.EqualValues(t, 1, fetches.Load())

	c, err := start(t.Context(), o, find)
	require.NoError(t, err)
	defer c.Stop()
	require.Contains(t, query(t, c.URL("postgres"), "SHOW server_version"), "17.")
	execute(t, c.URL("postgres"), "CREATE EXTENSION citext")
	require.Equal(t, "true", query(t, c.URL("postgres"), "SELECT ('A'::citext = 'a')::text"))
	left, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Len(t, left, 2, "nothing but the build and its lock stays")
}
