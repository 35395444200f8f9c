package ledgerproof

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/google/uuid"
)

// The tree over the heads of all accounts is a Merkle tree in the shape of a
// binary trie of their ids: accounts part where their ids first differ, 0 to the
// left. So its shape depends on nothing but which accounts there are, a new
// account changes one path only, and the trees of many checkpoints can be made
// in one pass over the accounts, in memory for their depth. As in RFC 6962, what
// is hashed begins with 0 for a leaf and with 1 for a node, so that neither can
// be taken for the other, and the hash of nothing is that of no bytes.
const (
	leafPrefix = 0
	nodePrefix = 1
)

// leafHash is that of an account: of its id, the numbers of its newest
// transaction and of its newest hold event, and its head.
func leafHash(userID uuid.UUID, sequence, holdEvents int64, head []byte) [32]byte {
	b := make([]byte, 0, 80)
	b = append(b, leafPrefix)
	b = append(b, userID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(sequence))   //nolint:gosec // never negative
	b = binary.BigEndian.AppendUint64(b, uint64(holdEvents)) //nolint:gosec // the same
	b = append(b, head...)
	return sha256.Sum256(b)
}

func nodeHash(left, right [32]byte) [32]byte {
	b := make([]byte, 0, 65)
	b = append(b, nodePrefix)
	b = append(b, left[:]...)
	b = append(b, right[:]...)
	return sha256.Sum256(b)
}

// version is the hash of a subtree from a checkpoint on, until the next version.
type version struct {
	since int64
	hash  [32]byte
}

// tree is the trees of many checkpoints while they are made: subtrees that wait
// for what comes to their right, from the root down.
type tree struct{ subtrees []subtree }

type subtree struct {
	versions []version
	last     uuid.UUID // the largest id in it
	shared   int       // how many bits of its ids are those of the subtree to its left
}

// add appends an account with its versions, in their order. Accounts come in the
// order of their ids.
func (t *tree) add(userID uuid.UUID, versions []version) {
	shared := 0
	if n := len(t.subtrees); n > 0 {
		shared = sharedBits(t.subtrees[n-1].last, userID)
	}
	t.join(shared)
	t.subtrees = append(t.subtrees, subtree{versions, userID, shared})
}

// join joins subtrees that share more than so many bits: nothing else comes
// between them.
func (t *tree) join(shared int) {
	for n := len(t.subtrees); n > 1 && t.subtrees[n-1].shared > shared; n-- {
		left, right := &t.subtrees[n-2], &t.subtrees[n-1]
		left.versions, left.last = joinVersions(left.versions, right.versions), right.last
		t.subtrees = t.subtrees[:n-1]
	}
}

// roots returns the versions of the root; none if there are no accounts.
func (t *tree) roots() []version {
	t.join(-1)
	if len(t.subtrees) == 0 {
		return nil
	}
	return t.subtrees[0].versions
}

// joinVersions makes the versions of a node. Until there is something on both
// sides, it is what there is on one.
func joinVersions(left, right []version) []version {
	joined := make([]version, 0, len(left)+len(right))
	for i, j := 0, 0; i < len(left) || j < len(right); {
		var since int64
		switch {
		case j == len(right) || i < len(left) && left[i].since < right[j].since:
			since = left[i].since
		default:
			since = right[j].since
		}
		if i < len(left) && left[i].since == since {
			i++
		}
		if j < len(right) && right[j].since == since {
			j++
		}
		v := version{since: since}
		switch {
		case i == 0:
			v.hash = right[j-1].hash
		case j == 0:
			v.hash = left[i-1].hash
		default:
			v.hash = nodeHash(left[i-1].hash, right[j-1].hash)
		}
		joined = append(joined, v)
	}
	return joined
}

// at returns the hash of a checkpoint.
func at(versions []version, checkpoint int64) [32]byte {
	i, found := slices.BinarySearchFunc(versions, checkpoint, func(v version, n int64) int { return int(v.since - n) })
	switch {
	case found:
		return versions[i].hash
	case i > 0:
		return versions[i-1].hash
	}
	return sha256.Sum256(nil)
}

// sharedBits is how many bits at the beginning of two ids are the same.
func sharedBits(a, b uuid.UUID) int {
	for i := range a {
		if a[i] != b[i] {
			return 8*i + bits.LeadingZeros8(a[i]^b[i])
		}
	}
	return 8 * len(a)
}
