package creditledger

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// chainDomain separates these hashes from all others, and names the encoding:
// a change of the encoding needs a new name, and a verifier that knows both.
const chainDomain = "authservice credit transaction v1\n"

// chainHash is SHA-256 over the previous hash and everything that t says, the
// terms of a grant and the request's key and fingerprint included, so that no
// column can be edited unseen. Fields have a fixed width or are prefixed with
// their length; an absent field differs from an empty one. The free text enters
// as a salted digest, so that erasing it breaks nothing.
func chainHash(previous [32]byte, t *Transaction) [32]byte {
	e := make(encoder, 0, 512)
	e.bytes([]byte(chainDomain))
	e.bytes(previous[:])
	e.uuid(&t.UserID)
	e.int(t.Sequence)
	e.uuid(&t.ID)
	e.string((*string)(&t.Type))
	e.int(t.Amount)
	e.int(t.BalanceAfter)
	e.string(t.Reference)
	e.bytes(t.noteDigest)
	e.uuid(t.HoldID)
	e.uuid(t.ReversesID)
	e.uuid(t.GrantID)
	e.int(int64(len(t.Burned)))
	for _, b := range t.Burned {
		e.uuid(&b.GrantID)
		e.int(b.Amount)
	}
	e.string((*string)(&t.Actor.Type))
	e.uuid(&t.Actor.ID)
	e.string(t.IdempotencyKey)
	e.bytes(t.fingerprint)
	e.time(&t.CreatedAt)
	if t.grant == nil {
		e.absent()
	} else {
		e.present()
		e.int(int64(t.grant.priority))
		e.time(t.grant.expiresAt)
	}
	return sha256.Sum256(e)
}

func newSalt() []byte {
	salt := make([]byte, 16)
	rand.Read(salt)
	return salt
}

// digestNote is what the chain holds of a transaction's free text.
func digestNote(salt []byte, n Note) []byte {
	e := make(encoder, 0, 256)
	e.bytes(salt)
	e.string(n.Description)
	e.bytes(n.Metadata)
	sum := sha256.Sum256(e)
	return sum[:]
}

// encoder appends fields in the form that the chain hashes.
type encoder []byte

func (e *encoder) absent()  { *e = append(*e, 0) }
func (e *encoder) present() { *e = append(*e, 1) }

func (e *encoder) int(v int64) { *e = binary.BigEndian.AppendUint64(*e, uint64(v)) } //nolint:gosec // two's complement on purpose

func (e *encoder) bytes(b []byte) {
	if b == nil {
		e.absent()
		return
	}
	e.present()
	e.int(int64(len(b)))
	*e = append(*e, b...)
}

func (e *encoder) string(s *string) {
	if s == nil {
		e.absent()
		return
	}
	e.bytes([]byte(*s))
}

func (e *encoder) uuid(id *uuid.UUID) {
	if id == nil {
		e.absent()
		return
	}
	e.present()
	*e = append(*e, id[:]...)
}

func (e *encoder) time(t *time.Time) {
	if t == nil {
		e.absent()
		return
	}
	e.present()
	e.int(t.UnixMicro())
}
