package ordeal

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// outcome is what a client knows of an operation in the end.
type outcome string

const (
	applied outcome = "applied" // and told what it did
	refused outcome = "refused" // for good
	unknown outcome = "unknown" // sent once, and no answer came
)

// record is an operation as its client remembers it.
type record struct {
	key     string
	kind    kind
	outcome outcome

	user, to     uuid.UUID
	amount, held int64
	hold         uuid.UUID
	made         []line // transactions that the client was told of
}

// line is a transaction.
type line struct {
	id, user                uuid.UUID
	sequence, amount, after int64
}

// entry is a transaction as it stands in the books.
type entry struct {
	line
	kind string
	key  string // empty for what time did
}

// event is a change of a hold as it stands in the books.
type event struct {
	user, hold uuid.UUID
	number     int64
	kind       string
	left       int64 // what the hold still had
	key        string
}

// books are what the database holds.
type books struct {
	entries  []entry
	events   []event
	balances map[uuid.UUID]balance
}

// finding is something that is wrong, of one kind.
type finding struct{ what, detail string }

// What can be found.
const (
	lost       = "lost"       // acknowledged, and not there
	duplicated = "duplicated" // there more than once
	phantom    = "phantom"    // there, and nobody asked for it, or it was refused
	altered    = "altered"    // there, but not as it was answered
	negative   = "negative"   // below zero, or more held than there is
	unbalanced = "unbalanced" // not what its clients say
)

// verdict is all findings, and what became of operations that were never asked after.
type verdict struct {
	findings            []finding
	settled, unsettled  int // unknown, and there or not
	transactions, holds int
}

func (v *verdict) String() string {
	var all strings.Builder
	for _, f := range v.findings[:min(len(v.findings), 30)] {
		fmt.Fprintf(&all, "%s: %s\n", f.what, f.detail)
	}
	return all.String()
}

// audit holds what clients remember against the books.
type audit struct {
	verdict
	books
	entriesOf map[string][]entry
	eventsOf  map[string][]event
	// What the accounts must come to.
	balance, held map[uuid.UUID]int64
}

func (a *audit) find(what, format string, arguments ...any) {
	a.findings = append(a.findings, finding{what, fmt.Sprintf(format, arguments...)})
}

// check compares. Accounts that nobody named are taken to be empty.
func check(records []record, b books) *verdict {
	a := &audit{
		books: b, entriesOf: map[string][]entry{}, eventsOf: map[string][]event{},
		balance: map[uuid.UUID]int64{}, held: map[uuid.UUID]int64{},
	}
	a.transactions, a.holds = len(b.entries), len(b.events)
	a.order()
	for _, e := range b.entries {
		a.entriesOf[e.key] = append(a.entriesOf[e.key], e)
	}
	for _, e := range b.events {
		a.eventsOf[e.key] = append(a.eventsOf[e.key], e)
	}
	for _, r := range records {
		a.record(r)
		delete(a.entriesOf, r.key)
		delete(a.eventsOf, r.key)
	}
	a.remaining()
	a.totals()
	return &a.verdict
}

// order looks at the books alone: each number of an account once, each id once,
// nothing below zero.
func (a *audit) order() {
	type place struct {
		user   uuid.UUID
		number int64
	}
	ids, places, numbers := map[uuid.UUID]bool{}, map[place]bool{}, map[place]bool{}
	for _, e := range a.entries {
		at := place{e.user, e.sequence}
		if ids[e.id] || places[at] {
			a.find(duplicated, "transaction %s, %d of %s", e.id, e.sequence, e.user)
		}
		ids[e.id], places[at] = true, true
		if e.after < 0 {
			a.find(negative, "balance %d after transaction %d of %s", e.after, e.sequence, e.user)
		}
	}
	for _, e := range a.events {
		at := place{e.user, e.number}
		if numbers[at] {
			a.find(duplicated, "event %d of %s", e.number, e.user)
		}
		numbers[at] = true
	}
	for user, b := range a.balances {
		if b.Balance < 0 || b.Held < 0 || b.Held > b.Balance {
			a.find(negative, "account %s has %d, of which %d are held", user, b.Balance, b.Held)
		}
	}
}

// leaves is how many transactions and events an operation leaves that is applied.
func (r *record) leaves() (entries, events int) {
	switch r.kind {
	case kindTransfer:
		return 2, 0
	case kindHold, kindIncrement, kindVoid:
		return 0, 1
	case kindCapture:
		return 1, 1
	default:
		return 1, 0
	}
}

// record holds one operation against what stands under its key.
func (a *audit) record(r record) {
	entries, events := a.entriesOf[r.key], a.eventsOf[r.key]
	mustEntries, mustEvents := r.leaves()
	whole := len(entries) == mustEntries && len(events) == mustEvents
	switch {
	case r.outcome == refused:
		if len(entries)+len(events) > 0 {
			a.find(phantom, "%s %s was refused, and is there", r.kind, r.key)
		}
		return
	case r.outcome == unknown && len(entries)+len(events) == 0:
		a.unsettled++
		return
	case len(entries) > mustEntries || len(events) > mustEvents:
		a.find(duplicated, "%s %s left %d transactions and %d events", r.kind, r.key, len(entries), len(events))
	case !whole:
		a.find(lost, "%s %s left %d transactions and %d events", r.kind, r.key, len(entries), len(events))
	case r.outcome == unknown:
		a.settled++
	}
	// What the clients say, whatever the books do.
	a.balance[r.user] += r.amount
	a.held[r.user] += r.held
	if r.kind == kindTransfer {
		a.balance[r.to] -= r.amount
	}
	if !whole {
		return
	}
	for _, m := range r.made {
		if !slices.ContainsFunc(entries, func(e entry) bool { return e.line == m }) {
			a.find(altered, "%s %s was answered with %+v, and is %+v", r.kind, r.key, m, entries)
		}
	}
	for _, e := range entries {
		if amount := r.amountOf(e.user); e.amount != amount {
			a.find(altered, "%s %s asked for %d, and is %+v", r.kind, r.key, amount, e)
		}
	}
	for _, e := range events {
		if e.user != r.user || r.hold != uuid.Nil && e.hold != r.hold {
			a.find(altered, "%s %s asked for hold %s of %s, and is %+v", r.kind, r.key, r.hold, r.user, e)
		}
	}
}

// amountOf is what an account gets by the operation; 0 for one that has no part in it.
func (r *record) amountOf(user uuid.UUID) int64 {
	switch {
	case user == r.user:
		return r.amount
	case r.kind == kindTransfer && user == r.to:
		return -r.amount
	}
	return 0
}

// remaining is what stands under no client's key: time may let holds and grants
// expire, and nothing else.
func (a *audit) remaining() {
	for key, entries := range a.entriesOf {
		for _, e := range entries {
			if key == "" && e.kind == "expiry" && e.amount < 0 {
				a.balance[e.user] += e.amount
				continue
			}
			a.find(phantom, "%s %+v", e.kind, e)
		}
	}
	for key, events := range a.eventsOf {
		for _, e := range events {
			if key == "" && e.kind == "expired" {
				a.held[e.user] -= e.left
				continue
			}
			a.find(phantom, "hold %s: %+v", e.kind, e)
		}
	}
}

// totals compares what accounts have with what they must come to.
func (a *audit) totals() {
	users := map[uuid.UUID]bool{}
	for _, m := range []map[uuid.UUID]int64{a.balance, a.held} {
		for user := range m {
			users[user] = true
		}
	}
	for user := range a.balances {
		users[user] = true
	}
	for _, user := range slices.SortedFunc(maps.Keys(users), func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) }) {
		if b := a.balances[user]; b.Balance != a.balance[user] || b.Held != a.held[user] {
			a.find(unbalanced, "account %s has %d and holds %d, and must have %d and hold %d", user, b.Balance, b.Held, a.balance[user], a.held[user])
		}
	}
}
