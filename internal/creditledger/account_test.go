package creditledger

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestAccount_Affordable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		balance, held int64
		amount        int64
		partial       bool
		want          int64 // 0 for a refusal
	}{
		{"Less", 10, 0, 9, false, 9},
		{"All", 10, 0, 10, false, 10},
		{"More", 10, 0, 11, false, 0},
		{"Empty", 0, 0, 1, false, 0},
		{"HeldIsNotAvailable", 10, 4, 7, false, 0},
		{"BesideWhatIsHeld", 10, 4, 6, false, 6},
		{"PartlyLess", 10, 0, 9, true, 9},
		{"PartlyMore", 10, 0, 11, true, 10},
		{"PartlyBesideWhatIsHeld", 10, 4, 7, true, 6},
		{"PartlyOfNothing", 0, 0, 1, true, 0},
		{"PartlyWhereAllIsHeld", 10, 10, 1, true, 0},
		{"Largest", MaxBalance, 0, MaxBalance, false, MaxBalance},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := &account{balance: c.balance, held: c.held}
			got, err := a.affordable(c.amount, c.partial)
			require.Equal(t, c.want, got)
			if c.want > 0 {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrInsufficientCredits)
			want := &apperr.Shortfall{Required: c.amount, Available: c.balance - c.held}
			require.Empty(t, cmp.Diff(want, apperr.From(err).Shortfall))
			require.Nil(t, ErrInsufficientCredits.Shortfall, "the shared error is left alone")
		})
	}
}

func TestAccount_Debit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		lots   []lot // remaining and held
		amount int64
		left   []int64 // of each lot
		burned []int64 // from each lot that was touched, in order
	}{
		{"PartOfOne", []lot{{remaining: 10}}, 4, []int64{6}, []int64{4}},
		{"AllOfOne", []lot{{remaining: 10}, {remaining: 5}}, 10, []int64{0, 5}, []int64{10}},
		{"OverTwo", []lot{{remaining: 10}, {remaining: 5}}, 12, []int64{0, 3}, []int64{10, 2}},
		{"AllOfAll", []lot{{remaining: 10}, {remaining: 5}}, 15, []int64{0, 0}, []int64{10, 5}},
		{"HeldStays", []lot{{remaining: 10, held: 8}, {remaining: 5}}, 4, []int64{8, 3}, []int64{2, 2}},
		{"AllHeldIsPassedOver", []lot{{remaining: 10, held: 10}, {remaining: 5}}, 4, []int64{10, 1}, []int64{4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := &account{userID: uuid.New(), balance: 100, now: noon}
			lots := make([]*lot, len(c.lots))
			for i := range lots {
				lots[i] = &c.lots[i]
				lots[i].id = uuid.New()
			}
			x := &Transaction{}
			a.debit(x, c.amount, lots)

			var left, burned []int64
			for _, l := range lots {
				left = append(left, l.remaining)
			}
			for _, b := range x.Burned {
				burned = append(burned, b.Amount)
			}
			require.Equal(t, c.left, left)
			require.Equal(t, c.burned, burned)
			require.Equal(t, TypeDebit, x.Type)
			require.Equal(t, -c.amount, x.Amount)
			require.Equal(t, 100-c.amount, a.balance)
			require.Len(t, a.changed, len(burned), "only what was touched is stored")
			for i, l := range a.changed {
				require.Equal(t, x.Burned[i].GrantID, l.id)
			}
		})
	}
}

func TestAccount_Grant(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name            string
		balance, amount int64
		ok              bool
	}{
		{"Small", 0, 1, true},
		{"UpToTheLimit", MaxBalance - 5, 5, true},
		{"OneTooMuch", MaxBalance - 5, 6, false},
		{"TwoLargest", MaxBalance, MaxBalance, false},
		{"LargestInteger", 1, 1<<63 - 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := &account{balance: c.balance, sequence: 4, now: noon}
			l := &lot{id: uuid.New(), amount: c.amount}
			x := &Transaction{}
			err := a.grant(x, l)
			if !c.ok {
				require.ErrorIs(t, err, ErrBalanceLimitExceeded)
				require.Empty(t, a.posted)
				require.Empty(t, a.changed)
				require.Equal(t, c.balance, a.balance)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.balance+c.amount, a.balance)
			require.Equal(t, []*Transaction{x}, a.posted)
			require.Equal(t, []*lot{l}, a.changed)
			require.Equal(t, &l.id, x.GrantID)
			require.Equal(t, int64(5), l.sequence)
			require.Equal(t, c.amount, l.remaining)
			require.True(t, l.isNew)
		})
	}
}

func TestAccount_ExpireLeavesWhatIsHeld(t *testing.T) {
	t.Parallel()
	a := &account{balance: 30, held: 4, now: noon}
	l := &lot{id: uuid.New(), amount: 20, remaining: 10, held: 4}
	a.expire(l)
	require.Equal(t, int64(4), l.remaining)
	require.Equal(t, int64(6), l.expired)
	require.Equal(t, int64(24), a.balance)
	require.Equal(t, int64(-6), a.posted[0].Amount)
	require.Equal(t, []Burn{{GrantID: l.id, Amount: 6}}, a.posted[0].Burned)
	require.Equal(t, Actor{Type: ActorSystem}, a.posted[0].Actor)
}

func TestAccount_Append(t *testing.T) {
	t.Parallel()
	a := &account{userID: uuid.New(), balance: 10, sequence: 7, head: [32]byte{1}, updated: noon}
	heads := [][32]byte{a.head}
	times := []time.Time{noon.Add(time.Second), noon.Add(time.Second), noon.Add(-time.Hour), noon.Add(time.Minute)}
	for i, at := range times {
		x := &Transaction{Amount: int64(i + 1)}
		a.advance(at)
		a.append(x)
		require.Equal(t, a.userID, x.UserID)
		require.Equal(t, int64(8+i), x.Sequence)
		require.Equal(t, a.balance, x.BalanceAfter)
		require.Equal(t, chainHash(heads[i], x), x.Hash, "chained to the one before")
		require.Equal(t, x.Hash, a.head)
		heads = append(heads, x.Hash)
	}
	require.Equal(t, int64(10+1+2+3+4), a.balance)

	want := []time.Time{
		noon.Add(time.Second), noon.Add(time.Second + time.Microsecond), noon.Add(time.Second + 2*time.Microsecond), noon.Add(time.Minute),
	}
	for i, x := range a.posted {
		require.Equal(t, want[i], x.CreatedAt)
	}
	require.Equal(t, noon.Add(time.Minute), a.updated)
}
