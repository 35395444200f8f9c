package pgdb

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// conn is a connection to the database that can be hung up, and that can be
// looked at without a word.
type conn struct {
	net.Conn
	watch  *Watch
	raw    syscall.RawConn // nil where the system has none
	hungUp atomic.Bool
	forget func() bool
}

// dial is the pool's pgconn.DialFunc.
func (w *Watch) dial(ctx context.Context, network, address string) (net.Conn, error) {
	spell := w.spell()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(spell, cancel)() //nolint:contextcheck // ends when either does
	c, err := w.connect(ctx, network, address)
	switch {
	case err == nil:
		c.forget = context.AfterFunc(spell, c.hangUp) //nolint:contextcheck // it outlives the dial
		return c, nil
	case spell.Err() != nil:
		return nil, errSilent
	}
	return nil, err
}

func (w *Watch) connect(ctx context.Context, network, address string) (*conn, error) {
	nc, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, watch: w, forget: func() bool { return true }}
	if system, ok := nc.(syscall.Conn); ok {
		c.raw, _ = system.SyscallConn()
	}
	return c, nil
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.watch.heard.Store(int64(time.Since(epoch)))
	}
	return n, c.explain(err)
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, c.explain(err)
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.forget()
	return c.Conn.Close()
}

func (c *conn) hangUp() {
	c.hungUp.Store(true)
	_ = c.Conn.Close()
}

func (c *conn) explain(err error) error {
	if err != nil && c.hungUp.Load() {
		return errSilent
	}
	return err
}

// spoken reports whether an idle connection has anything to say, which a server
// does only in order to end it, or to end.
func spoken(db *pgx.Conn) bool {
	nc := db.PgConn().Conn()
	if secured, ok := nc.(*tls.Conn); ok {
		nc = secured.NetConn()
	}
	c, ok := nc.(*conn)
	return ok && c.raw != nil && readable(c.raw)
}
