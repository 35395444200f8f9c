// Command dump writes schema/schema.sql: what the migrations add up to, for
// people to read and reviewers to compare. It needs pg_dump.
//
//	go run ./schema/dump          writes it
//	go run ./schema/dump -check   fails if it is not current, or if a query does
//	                              not fit the schema (sqlc vet)
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/authservice/authservice/internal/localpg"
	"github.com/authservice/authservice/internal/pgdb"
)

const target = "schema/schema.sql"

func main() {
	log.SetFlags(0)
	check := flag.Bool("check", false, "compare instead of writing, and vet the queries")
	flag.Parse()
	if err := dump(context.Background(), *check); err != nil {
		log.Fatal("schema/dump: ", err)
	}
}

func dump(ctx context.Context, check bool) error {
	dir, err := os.MkdirTemp("", "authservice-schema-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	cluster, err := localpg.Start(ctx, localpg.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer cluster.Stop() //nolint:errcheck // its directory is removed
	url := cluster.URL("postgres")
	if err := pgdb.Migrate(ctx, url, io.Discard); err != nil {
		return err
	}
	current, err := pgDump(ctx, url)
	if err != nil {
		return err
	}
	if !check {
		return os.WriteFile(target, current, 0o644) //nolint:gosec // for everybody to read
	}
	stored, err := os.ReadFile(target)
	if err != nil {
		return fmt.Errorf("reading what is stored: %w", err)
	}
	if !bytes.Equal(stored, current) {
		return errors.New(target + " is not what the migrations give: run `go run ./schema/dump`")
	}
	vet := exec.CommandContext(ctx, "go", "tool", "sqlc", "vet")
	vet.Env = append(os.Environ(), "SQLC_DATABASE_URL="+url)
	vet.Stdout, vet.Stderr = os.Stdout, os.Stderr
	if err := vet.Run(); err != nil {
		return fmt.Errorf("sqlc vet: %w", err)
	}
	return nil
}

// noise differs between versions of pg_dump and says nothing about the schema.
var noise = regexp.MustCompile(`(?m)^(--.*|\\(un)?restrict.*|SET .*|SELECT pg_catalog\.set_config.*)\n`)

func pgDump(ctx context.Context, url string) ([]byte, error) {
	path, err := findPgDump()
	if err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, path, "--schema-only", "--no-owner", "--dbname", url).Output() //nolint:gosec // a program of PostgreSQL's
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil, fmt.Errorf("pg_dump: %s", exit.Stderr)
		}
		return nil, fmt.Errorf("pg_dump: %w", err)
	}
	out = noise.ReplaceAll(out, nil)
	out = regexp.MustCompile(`\n{3,}`).ReplaceAll(out, []byte("\n\n"))
	head := []byte("-- The schema that schema/migrations adds up to. Written by go run ./schema/dump; do not edit.\n\n")
	return append(append(head, bytes.TrimSpace(out)...), '\n'), nil
}

// findPgDump prefers the newest installation: pg_dump refuses servers newer than itself.
func findPgDump() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump")
	slices.Sort(found)
	if len(found) > 0 {
		return found[len(found)-1], nil
	}
	path, err := exec.LookPath("pg_dump")
	if err != nil {
		return "", errors.New("pg_dump is not installed; it comes with PostgreSQL")
	}
	return path, nil
}
