// Package ledgerproof proves from the outside that the credit ledger is what it
// should be, and keeps signed checkpoints to prove it by.
//
// Verify reads the whole ledger in one snapshot and does every account's history
// again, record by record, in plain Go (account.go, transaction.go, hold.go,
// lot.go): what each record may be follows from those before it, so that nothing
// of it can be changed, left out or added unseen. It shares the encoding of the
// hash chain with package creditledger, and no decision: the rules are written
// down a second time, here.
//
// A history that was rewritten from some point on, or cut off, is as consistent
// as the true one. That is what checkpoints are for: each signs the heads of all
// accounts at a moment (checkpoint.go, tree.go), and a copy that is kept outside
// the database cannot be rewritten with it (history.go).
//
// The package writes the tables ledger_* and no other.
package ledgerproof
