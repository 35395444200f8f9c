package creditledger

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// The domains separate these hashes from all others, and name the encoding: a
// change of an encoding needs a new name, and a verifier that knows both.
const (
	transactionDomain = "authservice credit transaction v1\n"
	holdEventDomain   = "authservice credit hold event v1\n"
)

// transactionHash is SHA-256 over the hash of the account's record before it and
// everything that t says, the terms of the grants it made and the request's key
// and fingerprint included, so that no column can be edited unseen. Fields have
// a fixed width or are prefixed with their length; an absent field differs from
// an empty one. The free text enters as a salted digest, so that erasing it
// breaks nothing.
func transactionHash(previous [32]byte, t *Transaction) [32]byte {
	e := make(encoder, 0, 640)
	e.bytes([]byte(transactionDomain))
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
	e.burns(t.Burned)
	e.string((*string)(&t.Actor.Type))
	e.uuid(&t.Actor.ID)
	e.string(t.IdempotencyKey)
	e.bytes(t.fingerprint)
	e.time(&t.CreatedAt)
	switch t.Type {
	case TypeGrant:
		e.present()
		e.int(int64(t.made[0].priority))
		e.time(t.made[0].expiresAt)
	case TypeTransferIn, TypeTransferOut:
		e.absent()
		e.uuid(t.TransferID)
		e.int(int64(len(t.made)))
		for _, l := range t.made {
			e.int(int64(l.priority))
			e.time(l.expiresAt)
		}
	default:
		e.absent()
	}
	return sha256.Sum256(e)
}

// holdEventHash is the same for an event of a hold.
func holdEventHash(previous [32]byte, v *HoldEvent) [32]byte {
	e := make(encoder, 0, 640)
	e.bytes([]byte(holdEventDomain))
	e.bytes(previous[:])
	e.uuid(&v.UserID)
	e.int(v.Number)
	e.uuid(&v.Hold.ID)
	e.string((*string)(&v.Type))
	e.int(v.Hold.Amount)
	e.int(v.Hold.Captured)
	e.string((*string)(&v.Hold.Status))
	e.time(&v.Hold.ExpiresAt)
	e.string(v.Hold.Reference)
	e.bytes(v.noteDigest)
	e.uuid(v.Hold.TransactionID)
	e.burns(v.Pinned)
	e.int(v.HeldAfter)
	e.string((*string)(&v.Actor.Type))
	e.uuid(&v.Actor.ID)
	e.string(v.IdempotencyKey)
	e.bytes(v.fingerprint)
	e.time(&v.Hold.UpdatedAt)
	return sha256.Sum256(e)
}

func newSalt() []byte {
	salt := make([]byte, 16)
	rand.Read(salt)
	return salt
}

// digestNote is what the chain holds of free text.
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
	e.present()
	e.int(int64(len(*s)))
	*e = append(*e, *s...)
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

func (e *encoder) burns(burns []Burn) {
	e.int(int64(len(burns)))
	for _, b := range burns {
		e.uuid(&b.GrantID)
		e.int(b.Amount)
	}
}
