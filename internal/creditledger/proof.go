package creditledger

import "time"

// What is here is for package ledgerproof, which proves from the outside that
// the ledger is what it should be. It shares the encoding of the chain with this
// package, and no decision.

// TransactionRow is a transaction as the database holds it, with what stands in
// other tables and is covered by its hash all the same.
type TransactionRow struct {
	Transaction
	NoteDigest  []byte
	Fingerprint []byte  // of its Idempotency-Key; nil if nobody asked for it
	Made        []Terms // of the grants that it made, in the order of their parts
}

// Terms are those of a grant.
type Terms struct {
	Priority  int16
	ExpiresAt *time.Time // nil for never
}

// HoldEventRow is an event of a hold as the database holds it, with what its
// hash covers beside. Of the hold it needs what it was after the event, and the
// time of the event in UpdatedAt.
type HoldEventRow struct {
	HoldEvent
	NoteDigest  []byte
	Fingerprint []byte
}

// HashTransaction hashes a transaction as the ledger did when it was written,
// upon the hash of the record before it.
func HashTransaction(previous [32]byte, r *TransactionRow) [32]byte {
	t := r.Transaction
	t.noteDigest, t.fingerprint = r.NoteDigest, r.Fingerprint
	for _, terms := range r.Made {
		t.made = append(t.made, &lot{priority: terms.Priority, expiresAt: terms.ExpiresAt})
	}
	return transactionHash(previous, &t)
}

// HashHoldEvent is the same for an event of a hold.
func HashHoldEvent(previous [32]byte, r *HoldEventRow) [32]byte {
	e := r.HoldEvent
	e.noteDigest, e.fingerprint = r.NoteDigest, r.Fingerprint
	return holdEventHash(previous, &e)
}

// NoteDigest is what the chain holds of a text.
func NoteDigest(salt []byte, n Note) []byte { return digestNote(salt, n) }
