package pgdb_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgdb"
)

// The bound of a moment is below all ids of that moment, and above all of the
// one before it: with that, bounds of time are bounds of ids.
func TestIDAt_Bounds(t *testing.T) {
	t.Parallel()
	highest := uuid.Max
	highest[8] = 0xbf // the variant's bits are fixed
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, from := range []time.Time{start, start.Add(999 * time.Millisecond), time.Unix(0, 0), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)} {
		for micro := range 2100 { // every fraction of a millisecond, twice
			at := from.Add(time.Duration(micro) * time.Microsecond)
			bound, last, next := pgdb.IDAt(at, uuid.Nil), pgdb.IDAt(at, highest), pgdb.IDAt(at.Add(time.Microsecond), uuid.Nil)
			require.True(t, less(bound, last))
			require.True(t, less(last, next), "%v: %v is not before %v", at, last, next)
			for range 2 {
				id := pgdb.IDAt(at, uuid.New())
				require.False(t, less(id, bound))
				require.False(t, less(last, id))
				require.Equal(t, uuid.Version(7), id.Version())
				require.Equal(t, uuid.RFC4122, id.Variant())
			}
		}
	}
}

// The first 48 bits are the milliseconds of any UUIDv7, the next 12 the
// fraction of one; RFC 9562, section 6.2, method 3.
func TestIDAt_Layout(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("ffffffff-ffff-ffff-bfff-ffffffffffff")
	for want, at := range map[string]time.Time{
		"017f22e2-79b0-7000-bfff-ffffffffffff": time.UnixMilli(0x017F22E279B0), // the RFC's example, appendix A.6
		"017f22e2-79b0-7800-bfff-ffffffffffff": time.UnixMilli(0x017F22E279B0).Add(500 * time.Microsecond),
		"017f22e2-79b0-7ffb-bfff-ffffffffffff": time.UnixMilli(0x017F22E279B0).Add(999*time.Microsecond + 999*time.Nanosecond),
		"00000000-0000-7000-bfff-ffffffffffff": {}, // times before 1970 have no id of their own
		"e677d21f-dbff-7ffb-bfff-ffffffffffff": time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, want, pgdb.IDAt(at, id).String())
		})
	}
}

func less(a, b uuid.UUID) bool { return bytes.Compare(a[:], b[:]) < 0 }
