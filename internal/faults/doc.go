// Package faults breaks on purpose what the service stands on: a PostgreSQL of
// its own that can be killed and made to stand still, and a network that loses
// what it carries. It also puts up what people put in front of it: a load balancer,
// a standby, PgBouncer, a Patroni cluster. Only tests may import it.
//
// What it breaks it also mends when the test ends, so that nothing is left
// stopped or running.
package faults
