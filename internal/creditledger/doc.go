// Package creditledger keeps the credits: it alone writes the tables credit_*
// and idempotency_keys.
//
// Every change goes one way. A request becomes an operation (grant.go, debit.go,
// holds.go, …), which waits in the poster's queue (poster.go) until the commit
// under way is done, and is then taken together with all others that wait
// (batch.go). A batch is one database transaction and two round trips: the
// first locks the accounts' rows and reads (load.go), the second writes, table
// by table, and commits (write.go). Between them each operation is decided by
// itself, in plain Go, on what those before it left (account.go, lot.go).
//
// What was decided is records: transactions, which change a balance, and events
// of holds, which set credits apart. Each has its account's next number, the
// state after it, and a hash that chains it to the record before (chain.go).
// Records are never changed. Free text stands apart from them, so that it can be
// erased.
//
// Time decides before anybody else: whatever an operation is about, holds and
// grants that are over are closed first, by records of their own.
//
// A request is done once: its Idempotency-Key is stored in the same transaction
// as what it did, or as its refusal (idempotency.go).
//
// The package knows nothing of HTTP and must not import package identity.
package creditledger
