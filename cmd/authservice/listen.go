package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/authservice/authservice/internal/config"
	"github.com/authservice/authservice/internal/http1"
)

// maxHeader is the size of the largest request line and header together, in bytes.
const maxHeader = 16 << 10

// listeners are the addresses of a service, taken before anything slow is done.
type listeners struct {
	api, ops net.Listener
	https    bool // api
}

func listen(ctx context.Context, c config.Config, log *slog.Logger) (l listeners, err error) {
	secured, err := serverTLS(c.HTTP, log)
	if err != nil {
		return l, err
	}
	if l.api, err = (&net.ListenConfig{}).Listen(ctx, "tcp", c.HTTP.Addr); err != nil {
		return l, fmt.Errorf("AUTH_HTTP_ADDR: %w", err)
	}
	l.api, l.https = http1.NewListener(l.api, secured), secured != nil
	if l.ops, err = (&net.ListenConfig{}).Listen(ctx, "tcp", c.Ops.Addr); err != nil {
		_ = l.api.Close()
		return l, fmt.Errorf("AUTH_OPS_ADDR: %w", err)
	}
	return l, nil
}

func (l listeners) close() {
	_ = l.api.Close()
	_ = l.ops.Close()
}

// apiURL and opsURL are how a person on this machine reaches a listener.
func (l listeners) apiURL() string {
	if l.https {
		return "https://" + reached(l.api)
	}
	return "http://" + reached(l.api)
}

func (l listeners) opsURL() string { return "http://" + reached(l.ops) }

func reached(l net.Listener) string {
	address, _ := l.Addr().(*net.TCPAddr)
	host := address.IP.String()
	if address.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, fmt.Sprint(address.Port))
}

// newServers returns the servers for l: of the API, and of operations.
func newServers(c config.Config, l listeners, handler, opsHandler http.Handler, log *slog.Logger) (api, ops *http.Server) {
	errorLog := slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	api = &http.Server{
		Handler: handler, ErrorLog: errorLog, MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: c.HTTP.ReadHeaderTimeout, ReadTimeout: c.HTTP.ReadTimeout,
		WriteTimeout: c.HTTP.WriteTimeout, IdleTimeout: c.HTTP.IdleTimeout,
		Protocols: new(http.Protocols),
	}
	api.Protocols.SetHTTP1(true)
	api.Protocols.SetUnencryptedHTTP2(l.https) // decrypted by the listener
	// Profiles take as long as they are asked to, so that only the head is bounded.
	ops = &http.Server{Handler: opsHandler, ErrorLog: errorLog, ReadHeaderTimeout: c.HTTP.ReadHeaderTimeout}
	return api, ops
}

// leaving tells clients to go elsewhere: once it has begun, every answer is the
// last of its connection.
type leaving struct{ begun atomic.Bool }

func (l *leaving) begin() { l.begun.Store(true) }

func (l *leaving) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.begun.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// shutdown finishes the requests under way. Those that are not done when ctx ends,
// because their client does not read or does not write, are cut off.
func shutdown(ctx context.Context, server *http.Server, log *slog.Logger) error {
	err := server.Shutdown(ctx)
	if ctx.Err() != nil {
		log.WarnContext(ctx, "requests that took too long were cut off")
		return server.Close()
	}
	return err
}
