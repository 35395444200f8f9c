package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/schema"
)

// The login role of the tests: a member of the service's run-time role and nothing more.
const (
	runtimeRole     = "authservice_test"
	runtimePassword = "authservice_test"
)

// setupLock is the advisory lock under which the first of several processes
// builds the template, and the others wait.
const setupLock = 4_206_031_908

// templateName is a database with all migrations, which New copies. It is named
// after them, so that checkouts with other migrations do not meet.
var templateName = sync.OnceValue(func() string {
	h := sha256.New()
	err := fs.WalkDir(schema.Migrations, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := schema.Migrations.ReadFile(path)
		fmt.Fprintf(h, "%s %d\n%s", path, len(content), content)
		return err
	})
	if err != nil {
		panic(err) // an embedded file that cannot be read
	}
	return "template_" + hex.EncodeToString(h.Sum(nil)[:8])
})

func ensureTemplate(ctx context.Context) error {
	conn, err := cluster.admin.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("reaching PostgreSQL: %w", err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", setupLock); err != nil {
		return fmt.Errorf("waiting for the template database: %w", err)
	}
	defer conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", setupLock) //nolint:errcheck // the connection is closed soon

	if err := dropLeftovers(ctx, conn.Conn()); err != nil {
		return err
	}
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", templateName()).Scan(&exists); err != nil || exists {
		return err
	}
	building := templateName() + "_building"
	for _, sql := range []string{"DROP DATABASE IF EXISTS " + building, "CREATE DATABASE " + building} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("making the template database: %w", err)
		}
	}
	if err := pgdb.Migrate(ctx, cluster.url(building, "", ""), io.Discard); err != nil {
		return err
	}
	for _, sql := range []string{
		`DO $$ BEGIN CREATE ROLE ` + runtimeRole + ` LOGIN PASSWORD '` + runtimePassword + `'; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
		"GRANT authservice_runtime TO " + runtimeRole,
		// Only now has it the name that New looks for.
		"ALTER DATABASE " + building + " RENAME TO " + templateName(),
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("making the template database: %w", err)
		}
	}
	return nil
}

// dropLeftovers removes the databases of test processes that were killed.
func dropLeftovers(ctx context.Context, conn *pgx.Conn) error {
	rows, _ := conn.Query(ctx, "SELECT datname FROM pg_database WHERE datname LIKE 'test\\_%\\_%'")
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("listing databases: %w", err)
	}
	for _, name := range names {
		var pid, n int
		if _, err := fmt.Sscanf(name, "test_%d_%d", &pid, &n); err != nil || alive(pid) {
			continue
		}
		if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
			return fmt.Errorf("removing %s: %w", name, err)
		}
	}
	return nil
}
