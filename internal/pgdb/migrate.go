package pgdb

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/authservice/authservice/schema"
)

// migrationLock is the advisory lock under which migrations run. The number is
// arbitrary, but must stay what it is across releases.
const migrationLock = 4_206_031_907

// Migration is one step of the schema.
type Migration struct {
	Name    string // "20261123000001_identity.sql"
	Applied bool
}

// Migrate applies all pending migrations to the database at url, whose role
// must own the schema. dbmate itself takes no lock, so that replicas which
// start together would collide; here they wait for each other. What happens is
// written to log.
func Migrate(ctx context.Context, url string, log io.Writer) error {
	return underMigrationLock(ctx, url, log, func(db *dbmate.DB) error { return db.Migrate() })
}

// Rollback undoes the newest migration.
func Rollback(ctx context.Context, url string, log io.Writer) error {
	return underMigrationLock(ctx, url, log, func(db *dbmate.DB) error { return db.Rollback() })
}

// Migrations lists all migrations in order.
func Migrations(ctx context.Context, url string) ([]Migration, error) {
	conn, err := connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	applied, err := appliedVersions(ctx, conn)
	if err != nil {
		return nil, err
	}
	return list(applied)
}

// Pending lists the migrations that the database lacks.
func Pending(ctx context.Context, pool *pgxpool.Pool) ([]string, error) {
	applied, err := appliedVersions(ctx, pool)
	if err != nil {
		return nil, err
	}
	all, err := list(applied)
	if err != nil {
		return nil, err
	}
	var pending []string
	for _, m := range all {
		if !m.Applied {
			pending = append(pending, m.Name)
		}
	}
	return pending, nil
}

func list(applied map[string]bool) ([]Migration, error) {
	files, err := schema.Migrations.ReadDir("migrations")
	if err != nil {
		return nil, fmt.Errorf("reading the embedded migrations: %w", err)
	}
	all := make([]Migration, len(files))
	for i, f := range files {
		all[i] = Migration{Name: f.Name(), Applied: applied[f.Name()[:len("20060102150405")]]}
	}
	return all, nil
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func appliedVersions(ctx context.Context, db querier) (map[string]bool, error) {
	var migrated bool
	if err := db.QueryRow(ctx, "SELECT to_regclass('schema_migrations') IS NOT NULL").Scan(&migrated); err != nil {
		return nil, fmt.Errorf("looking for schema_migrations: %w", err)
	}
	if !migrated {
		return nil, nil
	}
	rows, _ := db.Query(ctx, "SELECT version FROM schema_migrations")
	versions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("reading schema_migrations: %w", err)
	}
	applied := make(map[string]bool, len(versions))
	for _, v := range versions {
		applied[v] = true
	}
	return applied, nil
}

// underMigrationLock holds the lock in a transaction of its own, which keeps its
// connection behind a pooler as well; the lock of a session would stay with one that
// somebody else gets next.
func underMigrationLock(ctx context.Context, dbURL string, log io.Writer, do func(*dbmate.DB) error) error {
	conn, err := connect(ctx, dbURL)
	if err != nil {
		return err
	}
	// Closing the connection gives the lock back.
	defer conn.Close(context.WithoutCancel(ctx))
	for {
		locked, err := tryMigrationLock(ctx, conn)
		if err != nil {
			return fmt.Errorf("taking the migration lock: %w", err)
		}
		if locked {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the migration lock: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}

	u, done := overPgx(conn.Config())
	defer done()
	db := dbmate.New(u)
	db.FS = schema.Migrations
	db.MigrationsDir = []string{"migrations"}
	db.AutoDumpSchema = false
	db.Log = log
	if err := do(db); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	return nil
}

// tryMigrationLock leaves a transaction open where it gets the lock. It does not wait
// for it: a waiting statement holds a snapshot, which CREATE INDEX CONCURRENTLY in a
// migration would wait for in turn (between statements, at this level, there is none),
// and a connection, of which a pooler may have few.
func tryMigrationLock(ctx context.Context, conn *pgx.Conn) (locked bool, err error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return false, err
	}
	if _, err := tx.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = 0"); err != nil {
		return false, err
	}
	err = tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", int64(migrationLock)).Scan(&locked)
	if err != nil || locked {
		return locked, err
	}
	return false, tx.Rollback(ctx)
}

// connect makes a connection that prepares nothing, which poolers do not like and
// a few statements do not need.
func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, withoutURL(err)
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("reaching the database: %w", err)
	}
	return conn, nil
}
