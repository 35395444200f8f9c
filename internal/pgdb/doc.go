// Package pgdb is how the service talks to PostgreSQL: the pool, transactions
// that are tried again when PostgreSQL asks for it, the names of broken
// constraints, and migrations under a lock. It holds no queries of the domain.
package pgdb
