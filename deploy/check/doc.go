// Package check holds what is under deploy/ against the programs that will read it:
// Kubernetes' own validation, compose's, Docker's, nginx, PgBouncer and systemd, and
// against the service, its settings and its routes. It is a module of its own, so
// that the service depends on none of them.
//
// Its tests need nginx, PgBouncer, systemd-analyze and psql (Debian: nginx,
// pgbouncer, systemd, postgresql).
package check
