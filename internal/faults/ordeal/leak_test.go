//go:build faults

package ordeal

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long it may take until what was used is given back.
const patience = time.Minute

// measure looks at a replica.
func (r *replica) measure() (m measure) {
	w := r.slot.w
	get := func(path string) string {
		request, err := http.NewRequestWithContext(w.ctx, http.MethodGet, r.opsURL+path, nil)
		require.NoError(w.t, err)
		request.Close = true
		response, err := http.DefaultClient.Do(request)
		require.NoError(w.t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(w.t, err)
		return string(body)
	}
	get("/debug/pprof/heap?gc=1") // collects
	for line := range strings.Lines(get("/metrics")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		switch name {
		case "go_goroutines":
			m.goroutines = int(n)
		case "process_resident_memory_bytes":
			m.resident = int64(n)
		case "go_memstats_heap_alloc_bytes":
			m.heap = int64(n)
		case "process_open_fds":
			m.connections = int(n)
		}
	}
	return m
}

// leaks waits until a replica takes no more than it did, for a while, and says
// what it takes then and what is too much.
func (r *replica) leaks(before measure) (after measure, all []string) {
	for until := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		after = r.measure()
		if all = after.leaks(before); len(all) == 0 || time.Now().After(until) {
			return after, all
		}
	}
}

// since is what it takes, in short, and what it took.
func (m measure) since(before measure) string {
	return fmt.Sprintf("goroutines %d→%d, files %d→%d, heap %d→%d MB, memory %d→%d MB", before.goroutines, m.goroutines,
		before.connections, m.connections, before.heap>>20, m.heap>>20, before.resident>>20, m.resident>>20)
}

// sessions is how many the service has at PostgreSQL.
func (w *world) sessions() (n int) {
	conn := w.superuser()
	defer conn.Close(w.ctx)
	require.NoError(w.t, conn.QueryRow(w.ctx, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'authservice'").Scan(&n))
	return n
}
