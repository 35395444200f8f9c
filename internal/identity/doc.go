// Package identity is who may come in: users and their passwords, sessions and
// their refresh tokens, mailed links, API keys and their scopes, and what
// administrators do with all of them. Each use case has a file. It also writes
// to these people (mail.go), on behalf of other rooms too (credits.go).
//
// Secrets are stored as hashes only, or derived (link.go, refresh.go). What an
// attacker could learn from an answer, or from the time it takes, whether an
// account exists, is kept equal on purpose; see login.go and ask.go. How often
// one may try is in limits.go. Every change writes its audit event in its own
// transaction.
//
// Locks are taken in one order: administrators, user, sessions, links, account.
//
// The package knows nothing of HTTP and must not import package creditledger.
package identity
