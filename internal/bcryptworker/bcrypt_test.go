package bcryptworker

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
)

// What is made here is what the library makes, and the other way round.
func TestWork_IsBcrypt(t *testing.T) {
	t.Parallel()
	for length := range 73 {
		password := bytes.Repeat([]byte{'x', 0xff, 0x80, 1}, 18)[:length]
		other := append([]byte("y"), password...)[:max(1, length)]
		cost := bcrypt.MinCost + length%2

		ours, err := Work{Password: password, Cost: cost}.Do()
		require.NoError(t, err)
		require.False(t, ours.Match)
		got, err := bcrypt.Cost(ours.Hash)
		require.NoError(t, err)
		require.Equal(t, cost, got)
		require.NoError(t, bcrypt.CompareHashAndPassword(ours.Hash, password))
		require.Error(t, bcrypt.CompareHashAndPassword(ours.Hash, other))

		theirs, err := bcrypt.GenerateFromPassword(password, cost)
		require.NoError(t, err)
		for _, version := range []string{"$2a", "$2b", "$2y"} {
			hash := append([]byte(version), theirs[3:]...)
			r, err := Work{Password: password, Hash: hash}.Do()
			require.NoError(t, err)
			require.Equal(t, Result{Match: true}, r)
			r, err = Work{Password: other, Hash: hash}.Do()
			require.NoError(t, err)
			require.Equal(t, Result{}, r)
		}
	}
}

func TestWork_Refuses(t *testing.T) {
	t.Parallel()
	_, err := Work{Password: make([]byte, maxPassword+1), Cost: bcrypt.MinCost}.Do()
	require.ErrorIs(t, err, bcrypt.ErrPasswordTooLong)
	for _, cost := range []int{-1, 3, 32} {
		_, err := Work{Password: []byte("right"), Cost: cost}.Do()
		require.ErrorIs(t, err, bcrypt.InvalidCostError(cost))
	}
}

// FuzzWork compares with the library whatever is stored.
func FuzzWork(f *testing.F) {
	good, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	require.NoError(f, err)
	f.Add(good, []byte("right"))
	f.Add(good, []byte("wrong"))
	f.Add(good, []byte{})
	for _, bad := range []string{
		"", "$2a$04$", "$2a$04$" + strings.Repeat(".", 53), string(good) + ".", string(good[:59]), "$2a$xx" + string(good[6:]),
		string(good[:28]) + "!" + string(good[29:]), string(good[:40]) + "\n" + string(good[41:]), "$3" + string(good[2:]), "$2" + string(good[3:]),
	} {
		f.Add([]byte(bad), []byte("right"))
	}
	f.Fuzz(func(t *testing.T, hash, password []byte) {
		if cost, err := bcrypt.Cost(hash); err == nil && cost > 6 || len(password) > maxPassword {
			return // It takes long, or is not for us.
		}
		theirs := bcrypt.CompareHashAndPassword(hash, password) == nil
		theirs = theirs && len(hash) == 60 // They take "$2$" as well, of an early version.
		require.Equal(t, theirs, matches(hash, password))
	})
}

func TestWork_Salt(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		r, err := Work{Password: []byte("right"), Cost: bcrypt.MinCost}.Do()
		require.NoError(t, err)
		require.Len(t, r.Hash, 60)
		require.False(t, seen[string(r.Hash[headLength:digestStart])])
		seen[string(r.Hash[headLength:digestStart])] = true
	}
}

// One comparison costs as much as one of the library, the pauses included.
func BenchmarkWork(b *testing.B) {
	for _, cost := range []int{8, 12} {
		hash, err := bcrypt.GenerateFromPassword([]byte("right"), cost)
		require.NoError(b, err)
		b.Run(fmt.Sprintf("ours/%d", cost), func(b *testing.B) {
			for b.Loop() {
				_, _ = Work{Password: []byte("right"), Hash: hash}.Do()
			}
		})
		b.Run(fmt.Sprintf("library/%d", cost), func(b *testing.B) {
			for b.Loop() {
				_ = bcrypt.CompareHashAndPassword(hash, []byte("right"))
			}
		})
	}
}
