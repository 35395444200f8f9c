// Package identity is who may come in: users and their passwords, sessions and
// their refresh tokens, API keys and their scopes. Each use case has a file.
//
// Secrets are stored as hashes only. What an attacker could learn from an
// answer, or from the time it takes, whether an account exists, is kept equal
// on purpose; see login.go.
//
// The package knows nothing of HTTP and must not import package creditledger.
package identity
