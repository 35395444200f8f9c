package creditledger

import "time"

// Row is a transaction as the database holds it, beside what stands in other
// tables and is covered by its hash all the same.
type Row struct {
	Transaction
	NoteDigest     []byte
	Fingerprint    []byte     // of its idempotency key
	GrantPriority  *int16     // of the grant that it made; nil if it made none
	GrantExpiresAt *time.Time // of the same
}

// ChainHash hashes a row as the ledger did when it was written.
func ChainHash(previous [32]byte, r Row) [32]byte {
	t := r.Transaction
	t.noteDigest, t.fingerprint = r.NoteDigest, r.Fingerprint
	if r.GrantPriority != nil {
		t.grant = &lot{priority: *r.GrantPriority, expiresAt: r.GrantExpiresAt}
	}
	return chainHash(previous, &t)
}

// NoteDigest is the digest of a note whose salt is known.
func NoteDigest(salt []byte, n Note) []byte { return digestNote(salt, n) }
