package pgdb

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// IDAt returns the UUIDv7 (RFC 9562, section 6.2, method 3: with microseconds) of
// a moment, with the random bits of another UUID; those of uuid.Nil make the
// bound below all ids of the moment.
func IDAt(at time.Time, random uuid.UUID) uuid.UUID {
	id := random
	micros := uint64(max(0, at.UnixMicro()))
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], micros/1000<<16)
	copy(id[:6], ms[:6])
	binary.BigEndian.PutUint16(id[6:], 0x7000|uint16(micros%1000*4096/1000))
	return id
}
