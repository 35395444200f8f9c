package localpg

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// Attach joins the cluster that several processes share below o.Dir, and starts
// it when it does not run. Each major version of PostgreSQL has its own (pg15,
// pg17, …). The server outlives the process that started it: release, which
// every process must call once it is done, stops it when nobody else uses it.
// The locks of a killed process vanish with it, so it never blocks a later one;
// a server it leaves behind is used again by the next.
func Attach(ctx context.Context, o Options) (c *Cluster, release func() error, err error) {
	if o, err = o.prepare(); err != nil {
		return nil, nil, err
	}
	bin, err := locate(ctx, o, 0)
	if err != nil {
		return nil, nil, err
	}
	o.Dir = filepath.Join(o.Dir, "pg"+strconv.Itoa(bin.major))
	if o, err = o.prepare(); err != nil {
		return nil, nil, err
	}

	// Whoever holds the lock may start or stop the server; whoever holds users
	// needs it running. Users come and go under the lock only, so the holder
	// can tell whether it is the last.
	lock := flock.New(filepath.Join(o.Dir, "lock"))
	users := flock.New(filepath.Join(o.Dir, "users"))
	if _, err := lock.TryLockContext(ctx, pollInterval); err != nil {
		return nil, nil, fmt.Errorf("localpg: wait for the lock on %s: %w", o.Dir, err)
	}
	defer lock.Unlock()
	if err := users.RLock(); err != nil {
		return nil, nil, fmt.Errorf("localpg: register as a user of %s: %w", o.Dir, err)
	}
	if c, err = join(ctx, o); err != nil {
		found := func(context.Context, Options, int) (binaries, error) { return bin, nil }
		c, err = locator(found).launch(ctx, o, outliveUs)
	}
	if err != nil {
		_ = users.Unlock()
		return nil, nil, err
	}

	c.stop = sync.OnceValue(func() error {
		// Our own files: the wait is for other processes starting or leaving.
		if err := lock.Lock(); err != nil {
			return fmt.Errorf("localpg: lock %s: %w", o.Dir, err)
		}
		defer lock.Unlock()
		if err := users.Unlock(); err != nil {
			return fmt.Errorf("localpg: leave %s: %w", o.Dir, err)
		}
		last, err := users.TryLock()
		if err != nil {
			return fmt.Errorf("localpg: look for other users of %s: %w", o.Dir, err)
		}
		if !last {
			return nil
		}
		defer users.Unlock()
		return c.server.stop()
	})
	return c, c.Stop, nil
}

// join returns the cluster of o.Dir when its server answers.
func join(ctx context.Context, o Options) (*Cluster, error) {
	server, err := findPostmaster(o.data())
	if err != nil {
		return nil, err
	}
	c := &Cluster{server: server}
	if c.port, err = readPort(o.Dir); err != nil {
		return nil, err
	}
	if c.password, err = readPassword(o.Dir); err != nil {
		return nil, err
	}
	// Patiently: others may be working on it, on a busy machine.
	return c, c.answers(ctx, 30*time.Second)
}
