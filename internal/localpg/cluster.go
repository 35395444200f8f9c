package localpg

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// Options say which cluster to run and how.
type Options struct {
	// Dir is the cluster's root directory. It is made when it is missing.
	Dir string
	// Durable clusters survive a crash of the machine. Others trade that for
	// speed (fsync=off), which is right for tests and nothing else.
	Durable bool
	// MaxConnections is PostgreSQL's max_connections; 0 means 100.
	MaxConnections int
	// Settings are further ones of PostgreSQL, such as "ssl=on".
	Settings []string
	// Progress, when set, is told before each slow step what is being done.
	Progress func(step string)
}

// Cluster is a running PostgreSQL.
type Cluster struct {
	password string
	port     int
	server   postmaster
	exited   <-chan struct{}
	stop     func() error
}

// Start runs the cluster in o.Dir for this process until Stop, or until the
// process ends in whatever way. While it runs, a second Start on the same
// directory fails with a *LockedError. Cancelling ctx abandons a start that is
// under way; afterwards ctx has no effect.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	return start(ctx, o, locate)
}

func start(ctx context.Context, o Options, find locator) (*Cluster, error) {
	o, err := o.prepare()
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	c, err := find.launch(ctx, o, dieWithUs)
	if err != nil {
		_ = lock.Unlock()
		return nil, err
	}
	c.stop = sync.OnceValue(func() error {
		defer lock.Unlock()
		return c.server.stop()
	})
	return c, nil
}

// Stop ends this process's use of the cluster. It shuts the server down fast
// (open connections are closed, nothing committed is lost), insists when that
// takes too long, and returns when the server is gone. An attached cluster
// keeps running while other processes use it. Further calls return the result
// of the first.
func (c *Cluster) Stop() error { return c.stop() }

// URL is the superuser's connection URL for a database of the cluster. It
// contains the password.
func (c *Cluster) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, c.password),
		Host:     net.JoinHostPort(host, strconv.Itoa(c.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// PID is the server's main process, for who wants to see what becomes of the
// others when it dies.
func (c *Cluster) PID() int { return c.server.pid }

// Exited is closed when the server has ended, be it by itself or by Stop. It
// never is for an attached cluster that another process started.
func (c *Cluster) Exited() <-chan struct{} { return c.exited }

// prepare fills in defaults, makes the directory and gives it its real name, so
// that the same directory is the same cluster however it is spelt.
func (o Options) prepare() (Options, error) {
	if o.MaxConnections == 0 {
		o.MaxConnections = 100
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("localpg: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return o, fmt.Errorf("localpg: make the cluster's directory: %w", err)
	}
	if o.Dir, err = filepath.EvalSymlinks(dir); err != nil {
		return o, fmt.Errorf("localpg: %w", err)
	}
	return o, nil
}

// data is the directory PostgreSQL itself works in.
func (o Options) data() string { return filepath.Join(o.Dir, "data") }
