package ordeal

import "fmt"

// measure is what a replica takes, and what it must give back.
type measure struct {
	goroutines, connections int
	heap, resident          int64 // bytes, after a collection
}

// Margins: what comes and goes by itself, and what a process keeps that has
// worked for a while.
const (
	moreGoroutines  = 40
	moreConnections = 40 // clients keep theirs, 32 at the most on one of the replicas
	moreHeap        = 48 << 20
	moreResident    = 160 << 20
)

// leaks says what is more than it was, beyond the margins.
func (m measure) leaks(before measure) (all []string) {
	for _, c := range []struct {
		what              string
		now, then, margin int64
	}{
		{"goroutines", int64(m.goroutines), int64(before.goroutines), moreGoroutines},
		{"connections", int64(m.connections), int64(before.connections), moreConnections},
		{"bytes of heap", m.heap, before.heap, moreHeap},
		{"bytes of memory", m.resident, before.resident, moreResident},
	} {
		if c.now > c.then+c.margin {
			all = append(all, fmt.Sprintf("%d %s instead of %d", c.now, c.what, c.then))
		}
	}
	return all
}
