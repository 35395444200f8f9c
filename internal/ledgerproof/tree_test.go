package ledgerproof

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// naiveRoot is the tree as it is defined, from the root down: accounts part at
// the first bit in which their ids differ.
func naiveRoot(ids []uuid.UUID, leaf func(uuid.UUID) [32]byte, bit int) [32]byte {
	switch len(ids) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaf(ids[0])
	}
	var sides [2][]uuid.UUID
	for _, id := range ids {
		side := id[bit/8] >> (7 - bit%8) & 1
		sides[side] = append(sides[side], id)
	}
	if len(sides[0]) == 0 || len(sides[1]) == 0 {
		return naiveRoot(ids, leaf, bit+1)
	}
	left, right := naiveRoot(sides[0], leaf, bit+1), naiveRoot(sides[1], leaf, bit+1)
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}

func TestTree(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 0))
		ids := make([]uuid.UUID, r.IntN(40))
		for i := range ids {
			binary.BigEndian.PutUint64(ids[i][:], r.Uint64N(1+seed)<<(r.IntN(60)))
			binary.BigEndian.PutUint64(ids[i][8:], r.Uint64()>>r.IntN(64))
		}
		slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
		ids = slices.Compact(ids)
		// Each account comes at some checkpoint, and changes at some of those after it.
		const checkpoints = 9
		var all tree
		versions := map[uuid.UUID][]version{}
		for _, id := range ids {
			for n := 1 + r.Int64N(checkpoints); n <= checkpoints; n += 1 + r.Int64N(4) {
				versions[id] = append(versions[id], version{n, leafHash(id, n, n, make([]byte, 32))})
			}
			all.add(id, versions[id])
		}
		roots := all.roots()
		for n := int64(1); n <= checkpoints; n++ {
			present := slices.DeleteFunc(slices.Clone(ids), func(id uuid.UUID) bool { return versions[id][0].since > n })
			require.Equal(t, naiveRoot(present, func(id uuid.UUID) [32]byte { return at(versions[id], n) }, 0), at(roots, n), "seed %d, checkpoint %d", seed, n)
		}
	}
}

// The hashes are in the lines that people keep, and must come out the same for ever.
func TestTree_Golden(t *testing.T) {
	t.Parallel()
	var all tree
	for i := range byte(3) {
		id := uuid.UUID{15: i}
		all.add(id, []version{{1, leafHash(id, int64(i), int64(2*i), bytes.Repeat([]byte{i}, 32))}})
	}
	root := at(all.roots(), 1)
	require.Equal(t, "ef9118929157f2653a21c2e658bfb19318a77bdb76fb4cabaef9834cc88f8c5a", hex.EncodeToString(root[:]))
}
