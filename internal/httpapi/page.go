package httpapi

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/authservice/authservice/internal/apperr"
)

const defaultLimit = 50

var errInvalidCursor = apperr.New(apperr.Malformed, "invalid_cursor", "The cursor did not come from this list. Start from the first page.").
	WithFields(apperr.Field{Pointer: "/query/cursor", Message: "is not a cursor of this list"})

func limitOf(limit *int) int {
	if limit == nil {
		return defaultLimit
	}
	return *limit
}

// A cursor is the last item's place in its list, in base64url: the list's mark,
// a sequence number and a part of what has that number; or an id.

// list marks the cursors of a list, so that they do not pass in another.
type list byte

const (
	transactionList list = 't'
	grantList       list = 'g'
)

func (l list) cursor(sequence int64, part int16) nullable.Nullable[string] {
	place := binary.BigEndian.AppendUint64([]byte{byte(l)}, uint64(sequence)) //nolint:gosec // never negative
	place = binary.BigEndian.AppendUint16(place, uint16(part))                //nolint:gosec // never negative
	return nullable.NewNullableWithValue(base64.RawURLEncoding.EncodeToString(place))
}

// before returns 0 for no cursor.
func (l list) before(cursor *string) (sequence int64, part int16, err error) {
	if cursor == nil {
		return 0, 0, nil
	}
	place, err := base64.RawURLEncoding.Strict().DecodeString(*cursor)
	if err != nil || len(place) != 11 || list(place[0]) != l {
		return 0, 0, errInvalidCursor
	}
	sequence = int64(binary.BigEndian.Uint64(place[1:])) //nolint:gosec // checked below
	part = int16(binary.BigEndian.Uint16(place[9:]))     //nolint:gosec // checked below
	if sequence < 1 || part < 0 {
		return 0, 0, errInvalidCursor
	}
	return sequence, part, nil
}

func idCursor(id uuid.UUID) nullable.Nullable[string] {
	return nullable.NewNullableWithValue(base64.RawURLEncoding.EncodeToString(id[:]))
}

// idBefore returns uuid.Max for no cursor.
func idBefore(cursor *string) (uuid.UUID, error) {
	if cursor == nil {
		return uuid.Max, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(*cursor)
	if err != nil || len(b) != len(uuid.UUID{}) {
		return uuid.Nil, errInvalidCursor
	}
	return uuid.UUID(b), nil
}
