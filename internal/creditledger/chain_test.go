package creditledger

import (
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// number is an id that is the same in each run.
func number(n byte) uuid.UUID { return uuid.UUID{15: n} }

func ptr[V any](v V) *V { return &v }

// fullTransaction has every field that the chain covers of a type.
func fullTransaction(kind TransactionType) *Transaction {
	return &Transaction{
		UserID: number(1), Sequence: 42, ID: number(2), Type: kind, Amount: 10050, BalanceAfter: 20100, Reference: ptr("order-1"),
		HoldID: ptr(number(3)), ReversesID: ptr(number(4)), GrantID: ptr(number(5)), TransferID: ptr(number(9)),
		Burned: []Burn{{number(6), 7}, {number(7), 8}}, Actor: Actor{ActorAPIKey, number(8)}, IdempotencyKey: ptr("key-1"),
		CreatedAt: noon, noteDigest: []byte{9, 9, 9}, fingerprint: []byte{8, 8, 8},
		made: []*lot{{priority: 50, expiresAt: ptr(noon.Add(24 * time.Hour))}, {priority: 7}},
	}
}

func fullHoldEvent() *HoldEvent {
	return &HoldEvent{
		UserID: number(1), Number: 42, Type: EventCaptured,
		Hold: Hold{
			ID: number(2), Amount: 900, Captured: 300, Status: HoldCaptured, ExpiresAt: noon.Add(time.Hour), Reference: ptr("order-1"),
			TransactionID: ptr(number(3)), UpdatedAt: noon,
		},
		Pinned: []Burn{{number(6), -7}, {number(7), -8}}, HeldAfter: 12, Actor: Actor{ActorAPIKey, number(8)}, IdempotencyKey: ptr("key-1"),
		noteDigest: []byte{9, 9, 9}, fingerprint: []byte{8, 8, 8},
	}
}

// The hashes are in the databases of those who run this service, and must come
// out the same for ever. A change of an encoding needs another domain.
func TestChain_Golden(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hash [32]byte
		want string
	}{
		"Grant":             {transactionHash([32]byte{0xff}, fullTransaction(TypeGrant)), "3d2a1461506e890dbe048bf4c7005da003e2e46aecd0f1864145d27c53d3b3aa"},
		"Transfer":          {transactionHash([32]byte{0xff}, fullTransaction(TypeTransferIn)), "33005236f4a35107ea11d169a1d7e87bedb6c31764d9b7326a38dbf3baa35690"},
		"Reversal":          {transactionHash([32]byte{0xff}, fullTransaction(TypeReversal)), "48556925420c9c84763943364c55d37d9e121a18296435d3963b272905213e05"},
		"NoOptionalField":   {transactionHash([32]byte{}, &Transaction{Type: TypeExpiry, Actor: system, Sequence: 1, Amount: -1, CreatedAt: noon}), "4afe641cedf5ddc19e0270ea53700318c2c8b94b21fb7ae760cc13d70a9e5b74"},
		"HoldEvent":         {holdEventHash([32]byte{0xff}, fullHoldEvent()), "5c51c70c3ab6069dff0523de4315a961f0d5128644ee62ee23856f052092952d"},
		"ExpiredHold":       {holdEventHash([32]byte{}, &HoldEvent{Type: EventExpired, Actor: system, Hold: Hold{ExpiresAt: noon, UpdatedAt: noon}}), "57ae0506db0595e5132290de1837336b22787459fc19be06a9ed103585ccd68b"},
		"Note":              {[32]byte(digestNote(make([]byte, 16), Note{ptr("text"), []byte(`{"a":1}`)})), "4964acb16520ed0c45ea56e551054a0cb54695683a0ab15d35569d896c754c65"},
		"NoteWithoutFields": {[32]byte(digestNote(make([]byte, 16), Note{})), "f9a00907f2cb495678fc922dd104ec74821b7e13ab28514170baff4dad3e36a9"},
	} {
		require.Equal(t, c.want, hex.EncodeToString(c.hash[:]), name)
	}
}

// Nothing can be edited unseen: each change of a single field changes the hash,
// and no two of them alike.
func TestChain_CoversTransaction(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*Transaction){
		"nothing":                   func(*Transaction) {},
		"user":                      func(t *Transaction) { t.UserID[0]++ },
		"sequence":                  func(t *Transaction) { t.Sequence++ },
		"id":                        func(t *Transaction) { t.ID[0]++ },
		"amount":                    func(t *Transaction) { t.Amount = -t.Amount },
		"balance after":             func(t *Transaction) { t.BalanceAfter++ },
		"reference":                 func(t *Transaction) { *t.Reference += "0" },
		"empty reference":           func(t *Transaction) { *t.Reference = "" },
		"no reference":              func(t *Transaction) { t.Reference = nil },
		"note":                      func(t *Transaction) { t.noteDigest[0]++ },
		"no note":                   func(t *Transaction) { t.noteDigest = nil },
		"empty note":                func(t *Transaction) { t.noteDigest = []byte{} },
		"hold":                      func(t *Transaction) { t.HoldID[0]++ },
		"no hold":                   func(t *Transaction) { t.HoldID = nil },
		"hold as reversed":          func(t *Transaction) { t.HoldID, t.ReversesID = t.ReversesID, t.HoldID },
		"reversed":                  func(t *Transaction) { t.ReversesID[0]++ },
		"nothing reversed":          func(t *Transaction) { t.ReversesID = nil },
		"grant":                     func(t *Transaction) { t.GrantID[0]++ },
		"no grant":                  func(t *Transaction) { t.GrantID = nil },
		"burned amount":             func(t *Transaction) { t.Burned[1].Amount++ },
		"burned grant":              func(t *Transaction) { t.Burned[0].GrantID[0]++ },
		"burned in another order":   func(t *Transaction) { slices.Reverse(t.Burned) },
		"burned less":               func(t *Transaction) { t.Burned = t.Burned[:1] },
		"nothing burned":            func(t *Transaction) { t.Burned = nil },
		"actor":                     func(t *Transaction) { t.Actor.ID[0]++ },
		"actor type":                func(t *Transaction) { t.Actor.Type = ActorUser },
		"key":                       func(t *Transaction) { *t.IdempotencyKey += "0" },
		"no key":                    func(t *Transaction) { t.IdempotencyKey = nil },
		"fingerprint":               func(t *Transaction) { t.fingerprint[0]++ },
		"no fingerprint":            func(t *Transaction) { t.fingerprint = nil },
		"time":                      func(t *Transaction) { t.CreatedAt = t.CreatedAt.Add(time.Microsecond) },
		"text moved between fields": func(t *Transaction) { *t.Reference, *t.IdempotencyKey = "order-1k", "ey-1" },
	}
	terms := map[string]func(*Transaction){
		"priority":      func(t *Transaction) { t.made[0].priority++ },
		"expiry":        func(t *Transaction) { *t.made[0].expiresAt = noon },
		"never expires": func(t *Transaction) { t.made[0].expiresAt = nil },
	}
	transfer := map[string]func(*Transaction){
		"transfer":             func(t *Transaction) { t.TransferID[0]++ },
		"no transfer":          func(t *Transaction) { t.TransferID = nil },
		"fewer grants":         func(t *Transaction) { t.made = t.made[:1] },
		"no grants":            func(t *Transaction) { t.made = nil },
		"second priority":      func(t *Transaction) { t.made[1].priority++ },
		"second expires":       func(t *Transaction) { t.made[1].expiresAt = ptr(noon) },
		"grants the other way": func(t *Transaction) { slices.Reverse(t.made) },
	}
	seen := map[[32]byte]string{transactionHash([32]byte{1}, fullTransaction(TypeGrant)): "previous hash"}
	for kind, all := range map[TransactionType][]map[string]func(*Transaction){
		TypeGrant:       {changes, terms},
		TypeTransferIn:  {changes, terms, transfer},
		TypeTransferOut: {changes},
		TypeReversal:    {changes},
	} {
		for _, changes := range all {
			for name, change := range changes {
				changed := fullTransaction(kind)
				change(changed)
				requireUnseen(t, seen, transactionHash([32]byte{}, changed), string(kind)+", "+name)
			}
		}
	}
}

func TestChain_CoversHoldEvent(t *testing.T) {
	t.Parallel()
	seen := map[[32]byte]string{holdEventHash([32]byte{1}, fullHoldEvent()): "previous hash"}
	for name, change := range map[string]func(*HoldEvent){
		"nothing":          func(*HoldEvent) {},
		"user":             func(e *HoldEvent) { e.UserID[0]++ },
		"number":           func(e *HoldEvent) { e.Number++ },
		"hold":             func(e *HoldEvent) { e.Hold.ID[0]++ },
		"type":             func(e *HoldEvent) { e.Type = EventVoided },
		"amount":           func(e *HoldEvent) { e.Hold.Amount++ },
		"captured":         func(e *HoldEvent) { e.Hold.Captured++ },
		"status":           func(e *HoldEvent) { e.Hold.Status = HoldVoided },
		"expiry":           func(e *HoldEvent) { e.Hold.ExpiresAt = noon },
		"reference":        func(e *HoldEvent) { *e.Hold.Reference += "0" },
		"empty reference":  func(e *HoldEvent) { *e.Hold.Reference = "" },
		"no reference":     func(e *HoldEvent) { e.Hold.Reference = nil },
		"note":             func(e *HoldEvent) { e.noteDigest[0]++ },
		"no note":          func(e *HoldEvent) { e.noteDigest = nil },
		"transaction":      func(e *HoldEvent) { e.Hold.TransactionID[0]++ },
		"no transaction":   func(e *HoldEvent) { e.Hold.TransactionID = nil },
		"pinned amount":    func(e *HoldEvent) { e.Pinned[0].Amount++ },
		"pinned grant":     func(e *HoldEvent) { e.Pinned[0].GrantID[0]++ },
		"pinned less":      func(e *HoldEvent) { e.Pinned = e.Pinned[:1] },
		"held after":       func(e *HoldEvent) { e.HeldAfter++ },
		"actor":            func(e *HoldEvent) { e.Actor.ID[0]++ },
		"actor type":       func(e *HoldEvent) { e.Actor.Type = ActorUser },
		"key":              func(e *HoldEvent) { *e.IdempotencyKey += "0" },
		"no key":           func(e *HoldEvent) { e.IdempotencyKey = nil },
		"fingerprint":      func(e *HoldEvent) { e.fingerprint[0]++ },
		"no fingerprint":   func(e *HoldEvent) { e.fingerprint = nil },
		"time":             func(e *HoldEvent) { e.Hold.UpdatedAt = noon.Add(time.Microsecond) },
		"moved to another": func(e *HoldEvent) { *e.Hold.Reference, *e.IdempotencyKey = "order-1k", "ey-1" },
	} {
		changed := fullHoldEvent()
		change(changed)
		requireUnseen(t, seen, holdEventHash([32]byte{}, changed), name)
	}
}

func TestChain_CoversNote(t *testing.T) {
	t.Parallel()
	salt, seen := newSalt(), map[[32]byte]string{}
	require.Len(t, salt, 16)
	for name, n := range map[string]Note{
		"nothing":                {},
		"description":            {Description: ptr("a")},
		"another":                {Description: ptr("b")},
		"empty":                  {Description: ptr("")},
		"metadata":               {Metadata: []byte(`{}`)},
		"other metadata":         {Metadata: []byte(`{"a":1}`)},
		"both":                   {Description: ptr("a"), Metadata: []byte(`{}`)},
		"description like other": {Description: ptr("{}")},
	} {
		requireUnseen(t, seen, [32]byte(digestNote(salt, n)), name)
		requireUnseen(t, seen, [32]byte(digestNote(newSalt(), n)), name+" under another salt")
	}
	salt, digest := Note{Description: ptr("a")}.seal()
	require.Equal(t, digestNote(salt, Note{Description: ptr("a")}), digest)
	salt, digest = Note{}.seal()
	require.Nil(t, salt)
	require.Nil(t, digest)
}

func requireUnseen(t *testing.T, seen map[[32]byte]string, hash [32]byte, name string) {
	t.Helper()
	require.NotContains(t, seen, hash, "%q is like %q", name, seen[hash])
	seen[hash] = name
}

// Each field says its length, and whether it is there.
func TestEncoder(t *testing.T) {
	t.Parallel()
	var e encoder
	e.string(nil)
	e.string(ptr(""))
	e.string(ptr("ab"))
	e.bytes(nil)
	e.bytes([]byte{7})
	e.int(-2)
	e.uuid(nil)
	e.uuid(ptr(number(3)))
	e.time(nil)
	e.time(ptr(time.UnixMicro(258).UTC()))
	e.burns(nil)
	e.burns([]Burn{{number(4), -1}})
	require.Equal(t, "00"+ // absent
		"010000000000000000"+
		"0100000000000000026162"+
		"00"+
		"01000000000000000107"+
		"fffffffffffffffe"+
		"00"+
		"0100000000000000000000000000000003"+
		"00"+
		"010000000000000102"+
		"0000000000000000"+
		"00000000000000010100000000000000000000000000000004ffffffffffffffff", hex.EncodeToString(e))
}

// Two lists of fields have the same encoding only if they are the same.
func FuzzEncoder(f *testing.F) {
	f.Add("ab", "c", "a", "bc", false)
	f.Add("", "x", "x", "", true)
	f.Add("\x01", "\x00", "\x01\x00", "", false)
	f.Add("", "", "", "", true)
	f.Fuzz(func(t *testing.T, a, b, c, d string, absent bool) {
		var one, two encoder
		one.string(&a)
		one.string(&b)
		if two.string(&c); absent {
			two.string(nil)
		} else {
			two.string(&d)
		}
		require.Equal(t, a == c && b == d && !absent, string(one) == string(two))
	})
}

// An account gives each record the next place: number, time, balance and link.
func TestAccount_Append(t *testing.T) {
	t.Parallel()
	a := &account{userID: number(1), balance: 10, held: 5, sequence: 7, holdEvents: 2, head: [32]byte{1}, updated: noon}
	head := a.head
	for i, c := range []struct{ clock, want time.Duration }{
		{time.Second, time.Second},
		{time.Second, time.Second + time.Microsecond}, // a clock that stands still
		{-time.Hour, time.Second + 2*time.Microsecond},
		{time.Minute, time.Minute},
	} {
		x := &Transaction{Amount: int64(i + 1)}
		a.advance(noon.Add(c.clock))
		a.append(x)
		require.Equal(t, number(1), x.UserID)
		require.Equal(t, int64(8+i), x.Sequence)
		require.Equal(t, a.balance, x.BalanceAfter)
		require.Equal(t, noon.Add(c.want), x.CreatedAt)
		require.Equal(t, transactionHash(head, x), x.Hash, "chained to the one before")
		head = x.Hash
	}
	require.Equal(t, int64(10+1+2+3+4), a.balance)

	e := &HoldEvent{Type: EventVoided}
	a.record(e, &hold{})
	require.Equal(t, int64(3), e.Number)
	require.Equal(t, int64(5), e.HeldAfter)
	require.Equal(t, noon.Add(time.Minute+time.Microsecond), e.Hold.UpdatedAt)
	require.Equal(t, holdEventHash(head, e), e.Hash, "transactions and events are links of one chain")
	require.Equal(t, e.Hash, a.head)
	captured := &HoldEvent{Type: EventCaptured}
	a.record(captured, &hold{})
	require.Equal(t, e.Hold.UpdatedAt, captured.Hold.UpdatedAt, "takes place with its transaction")
}
