package ordeal

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// sound are records and books that agree: of two accounts, a grant, a refused
// debit, a transfer, a hold with its capture, one that time let go, and two
// grants that were never asked after, of which one is there.
func sound() (records []record, b books) {
	ada, ben, hold, loose := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	n := map[uuid.UUID]int64{}
	after := map[uuid.UUID]int64{}
	enter := func(key, kind string, user uuid.UUID, amount int64) line {
		n[user]++
		after[user] += amount
		l := line{uuid.New(), user, n[user], amount, after[user]}
		b.entries = append(b.entries, entry{l, kind, key})
		return l
	}
	records = []record{
		{key: "grant", kind: kindGrant, outcome: applied, user: ada, amount: 1000, made: []line{enter("grant", "grant", ada, 1000)}},
		{key: "refused", kind: kindDebit, outcome: refused, user: ada, amount: -5000},
		{key: "transfer", kind: kindTransfer, outcome: applied, user: ada, to: ben, amount: -300, made: []line{
			enter("transfer", "transfer_out", ada, -300), enter("transfer", "transfer_in", ben, 300),
		}},
		{key: "hold", kind: kindHold, outcome: applied, user: ada, hold: hold, held: 100},
		{key: "capture", kind: kindCapture, outcome: applied, user: ada, hold: hold, held: -100, amount: -40},
		{key: "loose", kind: kindHold, outcome: applied, user: ben, hold: loose, held: 50},
		{key: "there", kind: kindGrant, outcome: unknown, user: ben, amount: 7},
		{key: "not there", kind: kindGrant, outcome: unknown, user: ben, amount: 8},
	}
	enter("capture", "capture", ada, -40)
	enter("there", "grant", ben, 7)
	enter("", "expiry", ben, -2)
	b.events = []event{
		{ada, hold, 1, "placed", 100, "hold"}, {ada, hold, 2, "captured", 60, "capture"},
		{ben, loose, 1, "placed", 50, "loose"}, {ben, loose, 2, "expired", 50, ""},
	}
	b.balances = map[uuid.UUID]balance{ada: {660, 0, 3}, ben: {305, 0, 3}}
	return records, b
}

func TestCheck_Sound(t *testing.T) {
	t.Parallel()
	v := check(sound())
	require.Empty(t, v.findings)
	require.Equal(t, [2]int{1, 1}, [2]int{v.settled, v.unsettled})
}

// Whatever is wrong is found, and called by its name.
func TestCheck_Planted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		plant func(records []record, b *books) []record
		want  []string
	}{
		"LostGrant": {func(r []record, b *books) []record { b.entries = b.entries[1:]; return r }, []string{lost}},
		"LostHalf":  {func(r []record, b *books) []record { b.entries = append(b.entries[:1], b.entries[2:]...); return r }, []string{lost}},
		"LostHold":  {func(r []record, b *books) []record { b.events = b.events[1:]; return r }, []string{lost}},
		"LostWithItsBalance": {func(r []record, b *books) []record {
			b.balances[b.entries[0].user] = balance{-340, 0, 2}
			b.entries = b.entries[1:]
			return r
		}, []string{negative, lost, unbalanced}},
		"TwiceUnderItsKey": {func(r []record, b *books) []record {
			again := b.entries[0]
			again.id, again.sequence = uuid.New(), 9
			b.entries = append(b.entries, again)
			return r
		}, []string{duplicated}},
		"TwiceTheSameRow":   {func(r []record, b *books) []record { b.entries = append(b.entries, b.entries[0]); return r }, []string{duplicated, duplicated}},
		"TwiceTheSameEvent": {func(r []record, b *books) []record { b.events = append(b.events, b.events[0]); return r }, []string{duplicated, duplicated}},
		"UnknownTwice": {func(r []record, b *books) []record {
			again := b.entries[4]
			again.id, again.sequence = uuid.New(), 9
			b.entries = append(b.entries, again)
			return r
		}, []string{duplicated}},
		"Phantom": {func(r []record, _ *books) []record { return r[1:] }, []string{phantom, unbalanced}},
		"PhantomWithoutKey": {func(r []record, b *books) []record {
			b.entries = append(b.entries, entry{line{uuid.New(), r[0].user, 9, 5, 665}, "grant", ""})
			return r
		}, []string{phantom}},
		"PhantomHold": {func(r []record, b *books) []record {
			b.events = append(b.events, event{r[0].user, uuid.New(), 9, "voided", 0, ""})
			return r
		}, []string{phantom}},
		"RefusedAndDone": {func(r []record, b *books) []record {
			b.entries = append(b.entries, entry{line{uuid.New(), r[0].user, 9, -5000, 0}, "debit", "refused"})
			return r
		}, []string{phantom}},
		"WrongBalance": {func(r []record, b *books) []record {
			b.balances[r[0].user] = balance{661, 0, 3}
			return r
		}, []string{unbalanced}},
		"StillHeld": {func(r []record, b *books) []record {
			b.balances[r[0].user] = balance{660, 60, 3}
			return r
		}, []string{unbalanced}},
		"HeldTooMuch": {func(r []record, b *books) []record {
			b.balances[r[0].user] = balance{660, 661, 3}
			return r
		}, []string{negative, unbalanced}},
		"BelowZero":    {func(r []record, b *books) []record { b.entries[3].after = -1; return r }, []string{negative}},
		"AccountGone":  {func(r []record, b *books) []record { delete(b.balances, r[0].user); return r }, []string{unbalanced}},
		"OtherAmount":  {func(r []record, b *books) []record { b.entries[0].amount++; return r }, []string{altered, altered}},
		"OtherOrder":   {func(r []record, b *books) []record { b.entries[0].after++; return r }, []string{altered}},
		"OtherHold":    {func(r []record, b *books) []record { b.events[1].hold = uuid.New(); return r }, []string{altered}},
		"OtherAccount": {func(r []record, b *books) []record { b.entries[4].user = uuid.New(); return r }, []string{altered}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			records, b := sound()
			records = test.plant(records, &b)
			var found []string
			for _, f := range check(records, b).findings {
				found = append(found, f.what)
			}
			require.Equal(t, test.want, found)
		})
	}
}
