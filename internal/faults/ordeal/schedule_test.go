package ordeal

import (
	"math/rand/v2"
	"time"
)

// Faults of the database: of PostgreSQL itself, of its machine, and of the wire to it.
var ofDatabase = []string{
	"postgres-killed", "postgres-immediate", "postgres-restarted", "postgres-frozen", "postgres-slow",
	"backend-killed", "backends-terminated", "disk-full", "read-only", "connections-exhausted",
	"accounts-locked", "table-locked",
	"wire-latency", "wire-blackhole", "wire-reset", "wire-refused", "wire-slow", "wire-cut-in-commit", "wire-torn",
}

// Faults of everything else.
var ofTheRest = []string{
	"replica-killed", "replica-stopped", "replica-replaced",
	"clients-latency", "clients-blackhole", "clients-reset", "clients-refused", "clients-slow",
	"clock-ahead", "clock-behind",
	"smtp-dead", "smtp-silent", "logstash-dead", "logstash-silent",
}

// fault is one that is to come.
type fault struct {
	kind  string
	lasts time.Duration
	// replicas are those that it is about, where it is about replicas. What ends
	// processes is about only one in a round, so that the other lives through all
	// of it, and shows what leaks.
	replicas []int
	size     float64 // of what has one, 0 … 1
}

// ends tells the faults that end a replica.
var ends = map[string]bool{"replica-killed": true, "replica-replaced": true}

// schedule is a lane of faults, one after another, without an end: all kinds in a
// round, each round in another order.
type schedule struct {
	kinds []string
	*rand.Rand
	round int
	left  []string
}

func newSchedule(seed uint64, lane uint64, kinds []string) *schedule {
	return &schedule{kinds: kinds, Rand: rand.New(rand.NewPCG(seed, lane)), round: -1}
}

func (s *schedule) next() fault {
	if len(s.left) == 0 {
		s.round++
		for _, i := range s.Perm(len(s.kinds)) {
			s.left = append(s.left, s.kinds[i])
		}
	}
	f := fault{kind: s.left[0], lasts: 300*time.Millisecond + time.Duration(s.Int64N(int64(3*time.Second))), size: s.Float64()}
	s.left = s.left[1:]
	f.replicas = [][]int{{0}, {1}, {0, 1}}[s.IntN(3)]
	if ends[f.kind] {
		f.replicas = []int{s.round % replicas}
	}
	return f
}
