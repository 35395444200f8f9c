package httpapi

import (
	"bytes"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// A cursor that is read says a place that a list may have, and is the only
// cursor of that place; anything else is refused, and nothing else happens.
func FuzzCursor(f *testing.F) {
	f.Add(int64(1), int16(0), "")
	f.Add(int64(1<<63-1), int16(1<<15-1), "dAAAAAAAAAABAAA")
	f.Add(int64(0), int16(-1), "ZwAAAAAAAAABAAA")
	f.Add(int64(-1), int16(3), "dAAAAAAAAAABAAA=")
	f.Add(int64(42), int16(7), "dAAAAAAAAAABAAB")
	f.Add(int64(42), int16(7), "dP__________AAA")
	f.Add(int64(42), int16(7), "AZrVS2gAcACAAAAAAAAAAQ")
	f.Add(int64(42), int16(7), "\x00 +/=\r\n")
	f.Fuzz(func(t *testing.T, sequence int64, part int16, hostile string) {
		for _, l := range []list{transactionList, grantList} {
			own := l.cursor(sequence, part).MustGet()
			gotSequence, gotPart, err := l.before(&own)
			if sequence < 1 || part < 0 {
				require.ErrorIs(t, err, errInvalidCursor)
			} else {
				require.NoError(t, err)
				require.Equal(t, sequence, gotSequence)
				require.Equal(t, part, gotPart)
			}
			other := transactionList + grantList - l
			_, _, err = other.before(&own)
			require.ErrorIs(t, err, errInvalidCursor, "nor does it pass in another list")
			_, err = idBefore(&own)
			require.ErrorIs(t, err, errInvalidCursor)

			gotSequence, gotPart, err = l.before(&hostile)
			if err != nil {
				require.ErrorIs(t, err, errInvalidCursor)
				continue
			}
			require.Positive(t, gotSequence)
			require.GreaterOrEqual(t, gotPart, int16(0))
			require.Equal(t, hostile, l.cursor(gotSequence, gotPart).MustGet())
		}

		id, err := idBefore(&hostile)
		if err != nil {
			require.ErrorIs(t, err, errInvalidCursor)
			require.NotContains(t, err.Error(), "\x00")
		} else {
			require.Equal(t, hostile, idCursor(id).MustGet())
		}
		for _, id := range []uuid.UUID{uuid.Nil, uuid.Max, uuid.NewSHA1(uuid.Nil, []byte(hostile))} {
			cursor := idCursor(id).MustGet()
			got, err := idBefore(&cursor)
			require.NoError(t, err)
			require.True(t, bytes.Equal(id[:], got[:]))
			_, _, err = transactionList.before(&cursor)
			require.ErrorIs(t, err, errInvalidCursor)
		}
	})
}

func TestCursor_None(t *testing.T) {
	t.Parallel()
	sequence, part, err := transactionList.before(nil)
	require.NoError(t, err)
	require.Zero(t, sequence)
	require.Zero(t, part)
	id, err := idBefore(nil)
	require.NoError(t, err)
	require.Equal(t, uuid.Max, id)
}
