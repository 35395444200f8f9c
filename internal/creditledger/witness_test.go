package creditledger_test

import (
	"cmp"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// witnessed is what a client saw of a request that was done, or of a read.
type witnessed struct {
	sent, acknowledged int64 // ticks of one clock of all clients
	places             []place
}

// place is where something took place in the history of an account: at the time
// of a record, of which no two are the same, or of a read between two of them.
// It counts half microseconds.
type place struct {
	userID uuid.UUID
	at     int64
}

// learn finds the places of a request that was done.
func (w *witnessed) learn(a answer) {
	for _, x := range a.made {
		w.places = append(w.places, place{x.UserID, 2 * x.CreatedAt.UnixMicro()})
	}
	if a.hold != nil {
		w.places = append(w.places, place{a.hold.UserID, 2 * a.hold.UpdatedAt.UnixMicro()})
	}
}

var ticks atomic.Int64

// tick counts on: what had ended before something else began has the lower number.
func (s *storm) tick() int64 { return ticks.Add(1) }

func (s *storm) witness(w witnessed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.witnessed = append(s.witnessed, w)
}

// requireWitness requires that the order in which an account's records stand is
// one in which the requests may have been done: none that was acknowledged
// before another was sent stands behind it. With this, the history that each
// account keeps is the witness of its linearizability.
func requireWitness(t *testing.T, all []witnessed) {
	t.Helper()
	type visit struct {
		witnessed
		at int64
	}
	byAccount := map[uuid.UUID][]visit{}
	for _, w := range all {
		for _, p := range w.places {
			byAccount[p.userID] = append(byAccount[p.userID], visit{w, p.at})
		}
	}
	seen := 0
	for id, visits := range byAccount {
		slices.SortFunc(visits, func(a, b visit) int { return cmp.Compare(a.at, b.at) })
		latestSent, latestHere := int64(0), int64(0) // of those at places before this one, and with those at this one
		for i, v := range visits {
			if i > 0 && visits[i-1].at < v.at {
				latestSent = latestHere
			}
			require.Greater(t, v.acknowledged, latestSent, "account %s: what stands as number %d was acknowledged before something that stands before it was sent", id, i)
			latestHere = max(latestHere, v.sent)
			seen++
		}
	}
	require.Greater(t, seen, 50, "too little was seen")
}
