package creditledger

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// nothing is a source that has nothing more.
type nothing struct{}

func (nothing) readOn(a *account) error { a.page(nil, 1); return nil }

func (nothing) readDue(a *account, until time.Time) error { a.dueRead = until; return nil }

// Whatever amounts are asked for, in whatever order, no balance wraps, falls
// below zero or passes the limit, and nothing is made or lost on the way.
func FuzzAmounts(f *testing.F) {
	all := func(more ...byte) []byte { // each act with each amount on both accounts
		for act := range 128 {
			more = append(more, byte(act))
		}
		return more
	}
	f.Add(int64(10), int64(3), int64(4), int64(5), all())
	f.Add(int64(MaxBalance), int64(MaxBalance-1), int64(1), int64(2), all(0, 16, 3, 0, 5, 7, 32, 4))
	f.Add(int64(math.MaxInt64), int64(math.MinInt64), int64(-1), int64(0), all())
	f.Add(int64(MaxBalance+1), int64(1<<62), int64(-1<<62), int64(1), all(24, 25, 27, 28))
	f.Add(int64(100), int64(60), int64(30), int64(7), all(0, 9, 0, 19, 22, 29, 93, 15, 31, 4, 37, 36, 40))
	f.Fuzz(func(t *testing.T, one, two, three, four int64, acts []byte) {
		amounts := []int64{one, two, three, four}
		d := newDesk()
		for i := range 2 {
			id := number(byte(i + 1))
			d.accounts[id] = &account{userID: id, now: noon, shelf: *newShelf(), holds: map[uuid.UUID]*hold{}, source: nothing{}}
		}
		r := &Request{Actor: Actor{Type: ActorAPIKey, ID: number(9)}}
		undo := map[*account]*original{}
		for _, act := range acts[:min(len(acts), 256)] {
			what, amount, final := act&7, amounts[act>>3&3], act>>6&1 > 0
			a := d.accounts[number(act>>5&1+1)]
			require.NoError(t, a.touch(a.updated))
			if checkAmount(amount) != nil {
				require.True(t, amount < 1 || amount > MaxBalance)
				continue
			}
			var held *hold // the account's, any that is active
			for _, h := range a.holds {
				if h.Status == HoldActive {
					held = h
				}
			}
			before, err := *a, error(nil)
			switch {
			case what == 0:
				err = only(GrantParams{UserID: a.userID, Amount: amount}.apply(d, r))
			case what <= 2:
				var made []*Transaction
				if made, err = (DebitParams{UserID: a.userID, Amount: amount, AllowPartial: what == 2}).apply(d, r); err == nil {
					undo[a] = &original{userID: a.userID, id: made[0].ID, kind: TypeDebit, taken: slices.Clone(made[0].Burned)}
				}
			case what == 3:
				err = only(a.place(HoldParams{UserID: a.userID, Amount: amount, ExpiresIn: time.Hour}, r))
			case what == 4:
				err = only(TransferParams{FromUserID: a.userID, ToUserID: number(3 - a.userID[15]), Amount: amount}.apply(d, r))
			case what == 5 && held != nil:
				err = only(a.capture(held, amount, final, r))
			case what == 6 && held != nil:
				err = only(a.increment(held, amount, r))
			case what == 7 && undo[a] != nil:
				err = only(a.reverse(undo[a], ReversalParams{Amount: &amount}, r))
			}
			if err != nil {
				require.True(t, isRefusal(err), err)
				require.Equal(t, []int64{before.balance, before.held, before.sequence, before.holdEvents}, []int64{a.balance, a.held, a.sequence, a.holdEvents}, "a refusal changes nothing")
			}
			for _, a := range d.accounts {
				requireSums(t, a)
			}
		}
	})
}

func only[T any](_ T, err error) error { return err }

// requireSums requires that what an account says of itself is what its parts add up to.
func requireSums(t *testing.T, a *account) {
	t.Helper()
	var left, held, pinned, moved int64
	for _, l := range a.lots {
		require.True(t, 0 <= l.held && l.held <= l.remaining && l.remaining <= l.amount && l.amount <= MaxBalance)
		left, held = left+l.remaining, held+l.held
	}
	for _, h := range a.holds {
		require.True(t, 0 <= h.Captured && h.Captured <= h.Amount)
		for _, b := range h.pinned {
			require.Positive(t, b.Amount)
			pinned += b.Amount
		}
	}
	for _, x := range a.posted {
		moved += x.Amount
		require.Equal(t, moved, x.BalanceAfter)
		require.True(t, 0 <= x.BalanceAfter && x.BalanceAfter <= MaxBalance)
	}
	require.Equal(t, []int64{a.balance, a.held, a.held, a.balance}, []int64{left, held, pinned, moved})
}
