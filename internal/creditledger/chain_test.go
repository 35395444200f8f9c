package creditledger

import (
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// fullTransaction has every field that the chain covers.
func fullTransaction() *Transaction {
	id := func(n byte) uuid.UUID { return uuid.UUID{15: n} }
	ptr := func(id uuid.UUID) *uuid.UUID { return &id }
	reference, key, expires := "order-1", "key-1", noon.Add(24*time.Hour)
	return &Transaction{
		UserID: id(1), Sequence: 42, ID: id(2), Type: TypeGrant, Amount: 10050, BalanceAfter: 20100, Reference: &reference,
		HoldID: ptr(id(3)), ReversesID: ptr(id(4)), GrantID: ptr(id(5)),
		Burned: []Burn{{id(6), 7}, {id(7), 8}}, Actor: Actor{ActorAPIKey, id(8)}, IdempotencyKey: &key,
		CreatedAt: noon, noteDigest: []byte{9, 9, 9}, fingerprint: []byte{8, 8, 8},
		grant: &lot{priority: 50, expiresAt: &expires},
	}
}

// The hashes are in the databases of those who run this service, and must come
// out the same for ever. A change of the encoding needs another chainDomain.
func TestChainHash_Golden(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		t    *Transaction
		want string
	}{
		{"EveryField", fullTransaction(), "3d2a1461506e890dbe048bf4c7005da003e2e46aecd0f1864145d27c53d3b3aa"},
		{"NoOptionalField", &Transaction{Type: TypeExpiry, Actor: Actor{Type: ActorSystem}, Sequence: 1, Amount: -1, CreatedAt: noon}, "ffde763e994b776543a7d06c68070a970bd2931c206ed005a8371b4d1782672d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := chainHash([32]byte{0xff}, c.t)
			require.Equal(t, c.want, hex.EncodeToString(got[:]))
		})
	}
}

// Nothing can be edited unseen: each change of a single field changes the hash.
func TestChainHash_CoversEveryField(t *testing.T) {
	t.Parallel()
	empty := ""
	seen := map[[32]byte]string{chainHash([32]byte{}, fullTransaction()): "no change"}
	seen[chainHash([32]byte{1}, fullTransaction())] = "previous hash"
	require.Len(t, seen, 2)
	for name, change := range map[string]func(*Transaction){
		"user":                      func(t *Transaction) { t.UserID[0]++ },
		"sequence":                  func(t *Transaction) { t.Sequence++ },
		"id":                        func(t *Transaction) { t.ID[0]++ },
		"type":                      func(t *Transaction) { t.Type = TypeDebit },
		"amount":                    func(t *Transaction) { t.Amount = -t.Amount },
		"balance after":             func(t *Transaction) { t.BalanceAfter++ },
		"reference":                 func(t *Transaction) { *t.Reference += "0" },
		"empty reference":           func(t *Transaction) { t.Reference = &empty },
		"no reference":              func(t *Transaction) { t.Reference = nil },
		"note":                      func(t *Transaction) { t.noteDigest[0]++ },
		"no note":                   func(t *Transaction) { t.noteDigest = nil },
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
		"grant's priority":          func(t *Transaction) { t.grant.priority++ },
		"grant's expiry":            func(t *Transaction) { *t.grant.expiresAt = noon.Add(time.Microsecond) },
		"grant that never expires":  func(t *Transaction) { t.grant.expiresAt = nil },
		"no terms of a grant":       func(t *Transaction) { t.grant = nil },
		"text moved between fields": func(t *Transaction) { *t.Reference, *t.IdempotencyKey = "order-1k", "ey-1" },
	} {
		changed := fullTransaction()
		change(changed)
		hash := chainHash([32]byte{}, changed)
		require.NotContains(t, seen, hash, "%q is like %q", name, seen[hash])
		seen[hash] = name
	}
}

func TestDigestNote(t *testing.T) {
	t.Parallel()
	a, b := "a", "b"
	require.Len(t, newSalt(), 16)
	salt, seen := newSalt(), map[string]bool{}
	for _, n := range []Note{{Description: &a}, {Metadata: []byte(`{}`)}, {Description: &a, Metadata: []byte(`{}`)}, {Description: &b, Metadata: []byte(`{}`)}} {
		digest := digestNote(salt, n)
		require.False(t, seen[string(digest)])
		seen[string(digest)] = true
		require.NotEqual(t, digest, digestNote(newSalt(), n), "who knows the text cannot find it without the salt")
	}
}

// Two lists of fields have the same encoding only if they are the same.
func FuzzEncoder(f *testing.F) {
	f.Add("ab", "c", "a", "bc", false)
	f.Add("", "x", "x", "", true)
	f.Add("\x01", "\x00", "\x01\x00", "", false)
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
