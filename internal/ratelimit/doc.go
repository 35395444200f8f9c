// Package ratelimit bounds how often something may be tried, for all replicas
// together: the counters are rows of PostgreSQL, changed by one upsert.
//
// It knows nothing of what is limited; package identity composes limits so that
// an attacker can slow, but never lock out, whoever comes from elsewhere.
package ratelimit
