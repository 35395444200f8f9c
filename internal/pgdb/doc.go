// Package pgdb is how the service talks to PostgreSQL: the pool, and a watch that
// notices when the database is gone; a standby for reads that may be late;
// transactions that are tried again when PostgreSQL asks for it or the connection
// breaks; the names of broken constraints, and of what else may be wrong;
// migrations under a lock. It holds no queries of the domain.
package pgdb
