// Package creditledger keeps the credits: it alone writes the tables credit_*
// and idempotency_keys.
//
// Every change is a posting (post.go): in one transaction it locks the account's
// row, reads what it needs, decides in plain Go (account.go, which touches no
// database), and writes what was decided. The decision is a transaction row, or
// several where grants had to expire first; each has the account's next
// sequence number, the balance after it, and a hash that chains it to its
// predecessor (chain.go). Applied transactions are never changed.
//
// A request is done once: its Idempotency-Key is stored in the same transaction
// as what it did, or as its refusal (idempotency.go).
//
// The package knows nothing of HTTP and must not import package identity.
package creditledger
