// Package pgtest gives every test a migrated database of its own, on a real
// PostgreSQL: the one of TEST_DATABASE_URL, or a private cluster that all
// packages of a `go test ./...` share. Only tests may import it.
//
// A package that uses it has a TestMain:
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
package pgtest
