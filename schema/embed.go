// Package schema holds the database's migrations, which the service carries in
// its binary. schema.sql shows what they add up to; go run ./schema/dump writes it.
package schema

import "embed"

// Migrations are the dbmate files below migrations/, in the order of their
// names. A file is never edited once it has landed.
//
//go:embed migrations/*.sql
var Migrations embed.FS
