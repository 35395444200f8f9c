package faults

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Connections makes the balancer one of connections as well, as those are that
// know nothing of HTTP, and returns its address. Each connection stays with one
// replica that is ready; where none is, with any that there is, whose own
// refusals are better than none.
func (b *Balancer) Connections(t testing.TB) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var open sync.WaitGroup
	open.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() { b.connect(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		open.Wait()
	})
	return listener.Addr().String()
}

// connect connects a client with a replica.
func (b *Balancer) connect(client net.Conn) {
	defer client.Close()
	candidates := b.inTurn()
	if len(candidates) == 0 {
		candidates = b.all()
	}
	for _, r := range candidates {
		u, err := url.Parse(r.url)
		if err != nil {
			continue
		}
		dialer := net.Dialer{Timeout: time.Second}
		server, err := dialer.DialContext(b.ctx, "tcp", u.Host)
		if err != nil {
			continue
		}
		b.carry(client, server)
		return
	}
}

// carry passes on what both say, until one of them hangs up or the balancer ends.
func (b *Balancer) carry(client, server net.Conn) {
	defer server.Close()
	ended, cancel := context.WithCancel(b.ctx)
	go func() { defer cancel(); _, _ = io.Copy(server, client) }()
	go func() { defer cancel(); _, _ = io.Copy(client, server) }()
	<-ended.Done()
}
