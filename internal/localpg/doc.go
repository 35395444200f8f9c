// Package localpg runs the private PostgreSQL cluster of a developer's machine:
// one that `authservice dev` owns for as long as it runs (Start), and one that
// the packages of `go test ./...` share (Attach).
//
// It finds installed binaries or fetches a pinned build, initialises the
// cluster, starts it on a free port of 127.0.0.1 and makes sure that neither
// Ctrl-C nor kill -9 leaves behind anything that blocks the next start. Linux
// and macOS are supported; as root, which PostgreSQL refuses, only Linux.
//
// A cluster's directory holds:
//
//	data/         what initdb made; never half made, never moved
//	lock          held by the process that starts, stops or owns the cluster; names its pid
//	users         held (shared) by each process attached to the cluster
//	password      the superuser's, random, readable by the owner only
//	port          the last port, taken again when it is free
//	postgres.log  the server's log since its last start
//
// The package must not know anything of the service: no migrations, no roles,
// no test databases, no import of ours. It is not for production.
package localpg
