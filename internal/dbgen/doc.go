// Package dbgen is what sqlc makes of queries/ and schema/migrations/: one Go
// method a query. Nothing in it is written by hand but this file. Each method
// takes the handle it runs on, so that every call shows whether it runs in a
// transaction.
package dbgen
