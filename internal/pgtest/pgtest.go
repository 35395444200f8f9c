package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/localpg"
	"github.com/authservice/authservice/internal/pgdb"
)

// cluster is where this process makes its databases; set by Main.
var cluster struct {
	admin *pgxpool.Pool
	url   func(database, user, password string) string
}

// Database is a migrated database of one test.
type Database struct {
	URL      string // of the run-time role, which the service uses
	OwnerURL string // of the role that owns the tables
	// Pool is opened with the run-time role.
	Pool *pgxpool.Pool
}

// Main runs the tests of a package with a cluster to make databases on. What
// after returns fails the package; it is called when all tests have passed.
func Main(m *testing.M, after ...func() error) {
	os.Exit(func() int {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		release, err := attach(ctx)
		if err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			return 1
		}
		code := m.Run()
		for _, check := range append(after, release) {
			if err := check(); err != nil && code == 0 {
				fmt.Fprintln(os.Stderr, "FAIL:", err)
				code = 1
			}
		}
		return code
	}())
}

func attach(ctx context.Context) (release func() error, err error) {
	adminURL, stop := os.Getenv("TEST_DATABASE_URL"), func() error { return nil }
	if adminURL == "" {
		dir, err := localpg.DefaultDir("test")
		if err != nil {
			return nil, err
		}
		c, leave, err := localpg.Attach(ctx, localpg.Options{Dir: dir, MaxConnections: 400, Progress: func(what string) { fmt.Fprintln(os.Stderr, what) }})
		if err != nil {
			return nil, err
		}
		adminURL, stop = c.URL("postgres"), leave
	}
	at, err := url.Parse(adminURL)
	if err != nil {
		return nil, fmt.Errorf("TEST_DATABASE_URL must be a URL")
	}
	cluster.url = func(database, user, password string) string {
		u := *at
		u.Path = "/" + database
		if user != "" {
			u.User = url.UserPassword(user, password)
		}
		return u.String()
	}
	cfg, err := pgxpool.ParseConfig(adminURL)
	if err != nil {
		return nil, fmt.Errorf("TEST_DATABASE_URL: %w", err)
	}
	cfg.MaxConns = 2 // copying databases side by side only makes each slower
	if cluster.admin, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, fmt.Errorf("reaching PostgreSQL: %w", err)
	}
	if err := ensureTemplate(ctx); err != nil {
		return nil, err
	}
	return func() error { cluster.admin.Close(); return stop() }, nil
}

var databases atomic.Int64

// New makes a database for one test, and removes it afterwards.
func New(t testing.TB) *Database {
	t.Helper()
	name := create(t, " TEMPLATE "+templateName()+copyStrategy(t.Context()))
	db := &Database{URL: cluster.url(name, runtimeRole, runtimePassword), OwnerURL: cluster.url(name, "", "")}
	var err error
	db.Pool, err = pgdb.Open(context.Background(), db.URL, pgdb.PoolOptions{
		MaxConns: 8, MaxConnLifetime: time.Hour, MaxConnIdleTime: time.Minute,
		ConnectTimeout: 30 * time.Second, StatementTimeout: time.Minute, LockTimeout: 30 * time.Second,
	})
	require.NoError(t, err)
	t.Cleanup(db.Pool.Close)
	return db
}

// Empty makes a database without any table, for tests of migrations, and
// returns the URL of its owner.
func Empty(t testing.TB) string {
	t.Helper()
	return cluster.url(create(t, ""), "", "")
}

// create makes a database that is removed when the test ends.
func create(t testing.TB, from string) (name string) {
	t.Helper()
	require.NotNil(t, cluster.admin, "TestMain must call pgtest.Main")
	name = fmt.Sprintf("test_%d_%d", os.Getpid(), databases.Add(1))
	_, err := cluster.admin.Exec(t.Context(), "CREATE DATABASE "+name+from)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := cluster.admin.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)")
		require.NoError(t, err)
	})
	return name
}

// Owner opens a connection as the tables' owner, for what the service itself may not do.
func (d *Database) Owner(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), d.OwnerURL)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	return conn
}

// copyStrategy copies files, which for small databases without fsync is the
// fastest; PostgreSQL 14 does so anyway and does not know the word.
func copyStrategy(ctx context.Context) string {
	var version string
	if err := cluster.admin.QueryRow(ctx, "SHOW server_version_num").Scan(&version); err != nil || strings.HasPrefix(version, "14") {
		return ""
	}
	return " STRATEGY file_copy"
}
