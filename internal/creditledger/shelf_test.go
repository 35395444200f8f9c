package creditledger

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// lots that burn in this order.
func burning() []*lot {
	soon, late := ptr(noon.Add(time.Hour)), ptr(noon.Add(2*time.Hour))
	all := []*lot{
		{priority: 0, sequence: 9},
		{priority: 1, sequence: 8, expiresAt: soon},
		{priority: 1, sequence: 4, expiresAt: late},
		{priority: 1, sequence: 5, expiresAt: late, part: 0},
		{priority: 1, sequence: 5, expiresAt: late, part: 1},
		{priority: 1, sequence: 1},
		{priority: 1, sequence: 2},
		{priority: 100, sequence: 3, expiresAt: soon},
	}
	for i, l := range all {
		l.id, l.amount, l.remaining = number(byte(100-i)), 10, 10
	}
	return all
}

func newShelf() *shelf { return &shelf{byID: map[uuid.UUID]*lot{}} }

func TestLot_BurnOrder(t *testing.T) {
	t.Parallel()
	want := burning()
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		s, got := newShelf(), slices.Clone(want)
		rnd.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		for _, l := range got {
			require.Same(t, l, s.put(l))
		}
		require.Equal(t, want, s.lots)
		slices.SortFunc(got, burnOrder)
		require.Equal(t, want, got)
	}
}

func TestLot_ClosingOrder(t *testing.T) {
	t.Parallel()
	all := burning()
	want := []*lot{all[7], all[1], all[2], all[3], all[4], all[5], all[6], all[0]}
	slices.SortFunc(all, closingOrder)
	require.Equal(t, want, all)
}

func TestLot_Closed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lot  lot
		want bool
	}{
		"Never":      {lot{}, false},
		"Later":      {lot{expiresAt: ptr(noon.Add(time.Microsecond))}, false},
		"Now":        {lot{expiresAt: ptr(noon)}, true},
		"Before":     {lot{expiresAt: ptr(noon.Add(-time.Microsecond))}, true},
		"Revoked":    {lot{revokedAt: ptr(noon)}, true},
		"RevokedToo": {lot{revokedAt: ptr(noon), expiresAt: ptr(noon.Add(time.Hour))}, true},
	} {
		require.Equal(t, c.want, c.lot.closed(noon), name)
	}
	require.Equal(t, int64(6), (&lot{remaining: 10, held: 4}).free())
}

// What a posting knows of a lot is newer than what is read again.
func TestShelf_PutKeepsWhatIsKnown(t *testing.T) {
	t.Parallel()
	s := newShelf()
	known := s.put(&lot{id: number(1), remaining: 3})
	require.Same(t, known, s.put(&lot{id: number(1), remaining: 10}))
	require.Len(t, s.lots, 1)
	require.Equal(t, int64(3), s.byID[number(1)].remaining)
}

// A lot that burns behind what was read in order may have others before it that
// are not known yet.
func TestShelf_ReachesWhatWasRead(t *testing.T) {
	t.Parallel()
	all := burning()
	s := newShelf()
	s.put(all[5]) // by chance, by its name
	require.False(t, s.reaches(0))

	s.page(all[:2], 2)
	require.True(t, s.reaches(0))
	require.True(t, s.reaches(1))
	require.False(t, s.reaches(2), "others may burn before it")
	require.Equal(t, 2, s.read)
	require.False(t, s.all)

	s.put(&lot{id: number(1), priority: 0, sequence: 10}) // made by this batch, before the last one read
	require.True(t, s.reaches(2))
	require.False(t, s.reaches(3))
	require.Equal(t, 2, s.read, "counts what the database has")

	s.page(all[2:4], 2)
	require.Equal(t, 4, s.read)
	require.True(t, s.reaches(4))
	require.False(t, s.reaches(5))

	s.page(all[4:], 8) // a short page is the last one
	require.True(t, s.all)
	require.True(t, s.reaches(len(s.lots)-1))
	require.False(t, s.reaches(len(s.lots)))
}

func TestShelf_EmptyPage(t *testing.T) {
	t.Parallel()
	s := newShelf()
	require.False(t, s.reaches(0))
	s.page(nil, 8)
	require.True(t, s.all)
	require.False(t, s.reaches(0))
	s.put(&lot{id: number(1)})
	require.True(t, s.reaches(0))
}

// What happens to a copy, or to what was copied, is not seen in the other.
func TestAccount_Clone(t *testing.T) {
	t.Parallel()
	all := burning()
	a := &account{balance: 80, held: 4, shelf: *newShelf(), holds: map[uuid.UUID]*hold{}, watched: []*lot{all[1]}}
	a.page(all[:7], 7)
	a.put(all[7]) // known by chance
	a.holds[number(1)] = &hold{Hold: Hold{ID: number(1), Amount: 4}, pinned: []Burn{{all[0].id, 4}}}
	a.posted, a.events = make([]*Transaction, 1, 4), make([]*HoldEvent, 1, 4)

	c := a.clone()
	require.Equal(t, a.lots, c.lots)
	require.Equal(t, a.holds, c.holds)
	require.Same(t, c.lots[6], c.last)
	require.Same(t, c.lots[1], c.watched[0])
	for i, l := range c.lots {
		require.NotSame(t, a.lots[i], l)
		require.Same(t, l, c.byID[l.id])
	}
	c.posted, a.posted = append(c.posted, &Transaction{Amount: 1}), append(a.posted, &Transaction{Amount: 2})
	c.events, a.events = append(c.events, &HoldEvent{Number: 1}), append(a.events, &HoldEvent{Number: 2})
	require.Equal(t, int64(1), c.posted[1].Amount)
	require.Equal(t, int64(1), c.events[1].Number)
	c.lots[0].remaining, c.holds[number(1)].pinned[0].Amount, c.holds[number(1)].Amount = 1, 1, 1
	c.put(&lot{id: number(50)})
	require.Same(t, a.lots[1], a.watched[0])
	require.Equal(t, int64(10), a.lots[0].remaining)
	require.Equal(t, int64(4), a.holds[number(1)].pinned[0].Amount)
	require.Equal(t, int64(4), a.holds[number(1)].Amount)
	require.Len(t, a.lots, 8)
	require.Len(t, a.byID, 8)
}

// pages is a source of lots in pages.
type pages struct {
	lots []*lot
	read int // pages
}

func (p *pages) readOn(a *account) error {
	p.read++
	end := min(a.read+2, len(p.lots))
	a.page(p.lots[a.read:end], 2)
	return nil
}

func (*pages) readDue(*account, time.Time) error { return nil }

func TestAccount_ChoosesOverPages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		amount int64
		held   int64 // of the first
		shares []int64
		read   int
	}{
		{1, 0, []int64{1}, 1},
		{10, 0, []int64{10}, 1},
		{20, 0, []int64{10, 10}, 1},
		{21, 0, []int64{10, 10, 1}, 2},
		{5, 10, []int64{5}, 1}, // what is held is passed over
		{12, 8, []int64{2, 10}, 1},
		{80, 0, []int64{10, 10, 10, 10, 10, 10, 10, 10}, 4},
	} {
		p := &pages{lots: burning()}
		p.lots[0].held = c.held
		a := &account{shelf: *newShelf(), source: p}
		shares, err := a.choose(c.amount)
		require.NoError(t, err)
		var got []int64
		for _, s := range shares {
			got = append(got, s.amount)
		}
		require.Equal(t, c.shares, got)
		require.Equal(t, c.read, p.read, "no more than is needed is read")
	}
}
