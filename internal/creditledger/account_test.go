package creditledger

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
)

// What is over at once is closed in an order of its own, not in that of a map
// or of the reading: holds first, then lots, each by when they ended.
func TestAccount_SettlesInOrder(t *testing.T) {
	t.Parallel()
	const holds = 20
	soon, late := noon.Add(time.Second), noon.Add(time.Minute)
	a := &account{
		balance: holds + 10, held: holds, updated: noon, dueRead: late.Add(dueMargin), source: &pages{},
		shelf: *newShelf(), holds: map[uuid.UUID]*hold{},
	}
	for _, l := range []*lot{
		{id: number(1), sequence: 1, expiresAt: &late, amount: holds, held: holds},
		{id: number(3), sequence: 3, expiresAt: &soon, amount: 5},
		{id: number(2), sequence: 2, expiresAt: &soon, amount: 5},
	} {
		l.remaining = l.amount
		a.watch(a.put(l))
	}
	for i := range holds { // the second half ends first
		h := &hold{Hold: Hold{ID: number(byte(i)), Amount: 1, Status: HoldActive, ExpiresAt: late}, pinned: []Burn{{number(1), 1}}}
		if i >= holds/2 {
			h.ExpiresAt = soon
		}
		a.holds[h.ID] = h
	}

	require.NoError(t, a.touch(late))
	require.Len(t, a.events, holds)
	for i, e := range a.events {
		require.Equal(t, EventExpired, e.Type)
		require.Equal(t, number(byte((i+holds/2)%holds)), e.Hold.ID)
	}
	var burned []Burn
	for _, x := range a.posted {
		require.Equal(t, TypeExpiry, x.Type)
		burned = append(burned, x.Burned...)
	}
	require.Equal(t, []Burn{{number(2), 5}, {number(3), 5}, {number(1), holds}}, burned)
}

// broken is a source that cannot be read.
type broken struct{}

var errBroken = errors.New("cannot be read")

func (broken) readOn(*account) error             { return errBroken }
func (broken) readDue(*account, time.Time) error { return errBroken }

// Nothing is posted of an account whose grants cannot be read, or hold less than
// its balance says.
func TestAccount_GrantsMissing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source source
		want   string
	}{
		{broken{}, errBroken.Error()},
		{&pages{lots: burning()}, "hold 1 less than its balance says"},
	} {
		r := &Request{}
		for name, ask := range map[string]func(d *desk, a *account) error{
			"Spend": func(_ *desk, a *account) error { return a.spend(r.transaction(nil, Note{}), 81) },
			"Place": func(_ *desk, a *account) error {
				_, err := a.place(HoldParams{Amount: 81, ExpiresIn: time.Hour}, r)
				return err
			},
			"Increment": func(_ *desk, a *account) error {
				_, err := a.increment(&hold{}, 81, r)
				return err
			},
			"Transfer": func(d *desk, a *account) error {
				_, err := TransferParams{FromUserID: a.userID, ToUserID: number(2), Amount: 81}.apply(d, r)
				return err
			},
			"Atomic": func(d *desk, a *account) error {
				_, err := d.atomically(r, nil, []BulkOperation{DebitParams{UserID: a.userID, Amount: 81}})
				return err
			},
			"Independent": func(d *desk, a *account) error {
				_, err := d.independently(r, []BulkOperation{DebitParams{UserID: a.userID, Amount: 81}})
				return err
			},
		} {
			d := newDesk()
			for i := range 2 {
				id := number(byte(i + 1))
				d.accounts[id] = &account{userID: id, balance: 100, now: noon, shelf: *newShelf(), holds: map[uuid.UUID]*hold{}, source: c.source}
			}
			require.ErrorContains(t, ask(d, d.accounts[number(1)]), c.want, name)
			for _, a := range d.accounts {
				require.False(t, a.changed(), name)
			}
		}
	}
}

// Nothing is decided on what could not be brought up to date.
func TestDesk_CannotTouch(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.clock = noon
	id := number(1)
	d.accounts[id] = &account{userID: id, shelf: *newShelf(), source: broken{}}
	grant := GrantParams{UserID: id, Amount: 1}
	_, err := d.independently(&Request{}, []BulkOperation{grant})
	require.ErrorIs(t, err, errBroken)
	op := &operation{accounts: []uuid.UUID{id}, decide: func(d *desk, r *Request) (outcome, error) {
		made, err := grant.apply(d, r)
		return outcome{parts: []part{{made: made}}}, err
	}}
	require.ErrorIs(t, (&batch{desk: d}).decideOne(op), errBroken)
	require.False(t, d.accounts[id].changed())
}

// A fault of ours is neither kept nor told as a refusal: the batch has failed.
func TestBatch_FaultIsNoRefusal(t *testing.T) {
	t.Parallel()
	for _, fault := range []error{errBroken, apperr.InternalBecause(errBroken), ErrBusy} {
		b := &batch{desk: newDesk()}
		op := &operation{Request: Request{Key: "key"}, decide: func(*desk, *Request) (outcome, error) { return outcome{}, fault }}
		require.ErrorIs(t, b.decideOne(op), fault)
		require.Empty(t, b.kept)
		require.NoError(t, op.err)
	}
}

// What an operation came to counts from its last try alone.
func TestBatch_DecidesAnew(t *testing.T) {
	t.Parallel()
	applied := outcome{transaction: &Transaction{}}
	var err error
	op := &operation{decide: func(*desk, *Request) (outcome, error) { return applied, err }}
	for _, err = range []error{nil, ErrExpiryInThePast, nil} {
		require.NoError(t, (&batch{desk: newDesk()}).decideOne(op))
		require.Equal(t, err, op.err)
		require.Equal(t, err == nil, op.outcome.transaction != nil)
	}
}

// Replicas that store the same keys wait for each other, and not in a circle.
func TestBatch_KeepsInOrderOfKeys(t *testing.T) {
	t.Parallel()
	b := &batch{desk: newDesk()}
	for _, k := range []key{{number(2), "a"}, {number(1), "b"}, {number(1), "c"}, {number(1), "a"}} {
		b.kept = append(b.kept, keptKey{operation: &operation{Request: Request{Actor: Actor{ID: k.callerID}, Key: k.text}}})
	}
	var w writer
	b.keep(&w)
	require.Equal(t, []string{"a", "b", "c", "a"}, w.keys.Keys)
	require.Equal(t, []uuid.UUID{number(1), number(1), number(1), number(2)}, w.keys.CallerIds)
}
