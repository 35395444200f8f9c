package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/authservice/authservice/internal/config"
	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/httpapi"
	"github.com/authservice/authservice/internal/identity"
	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/telemetry"
	"github.com/authservice/authservice/internal/tokens"
)

// maxBody is the size of the largest request body, in bytes.
const maxBody = 64 << 10

// domain is the service without its listeners, on a migrated database.
type domain struct {
	pool     *pgxpool.Pool
	tokens   *tokens.Service
	identity *identity.Service
	ledger   *creditledger.Ledger
}

func openPool(ctx context.Context, c config.Config) (*pgxpool.Pool, error) {
	pool, err := pgdb.Open(ctx, c.DatabaseURL.Reveal(), pgdb.PoolOptions{
		MaxConns: c.Database.MaxConns, MinConns: c.Database.MinConns,
		MaxConnLifetime: c.Database.MaxConnLifetime, MaxConnIdleTime: c.Database.MaxConnIdleTime,
		ConnectTimeout: c.Database.ConnectTimeout, StatementTimeout: c.Database.StatementTimeout, LockTimeout: c.Database.LockTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	return pool, nil
}

// newDomain joins the rooms. Whoever calls it closes the pool.
func newDomain(ctx context.Context, c config.Config, pool *pgxpool.Pool) (*domain, error) {
	key := c.EncryptionKeyBytes()
	sealer, err := tokens.NewSealer(key)
	if err != nil {
		return nil, err
	}
	t, err := tokens.Open(ctx, pool, sealer, tokens.Options{
		Algorithm: c.JWT.Algorithm, Issuer: c.JWT.Issuer, Audience: c.JWT.Audience, TTL: c.AccessTokenTTL, Now: time.Now,
	})
	if errors.Is(err, tokens.ErrWrongKey) {
		return nil, fmt.Errorf("AUTH_ENCRYPTION_KEY: %w", err)
	}
	if err != nil {
		return nil, err
	}
	ledger := creditledger.New(pool, time.Now)
	return &domain{
		pool: pool, tokens: t, ledger: ledger,
		identity: identity.New(pool, t, identity.Options{
			BcryptCost: c.BcryptCost, Pepper: []byte(c.PasswordPepper.Reveal()), RefreshKey: tokens.DeriveKey(key, "refresh"),
			RefreshTokenTTL: c.RefreshTokenTTL, RefreshGrace: c.RefreshGrace, SessionTTL: c.SessionTTL,
			Now: time.Now, UserCreated: ledger.OpenAccount,
		}),
	}, nil
}

// listeners are the addresses of a service, taken before anything slow is done.
type listeners struct{ api, ops net.Listener }

func listen(ctx context.Context, c config.Config) (l listeners, err error) {
	if l.api, err = (&net.ListenConfig{}).Listen(ctx, "tcp", c.HTTP.Addr); err != nil {
		return l, fmt.Errorf("AUTH_HTTP_ADDR: %w", err)
	}
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

// urlOf is how a person on this machine reaches a listener.
func urlOf(l net.Listener) string {
	address, _ := l.Addr().(*net.TCPAddr)
	host := address.IP.String()
	if address.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, fmt.Sprint(address.Port))
}

// serve answers requests on l until ctx ends, then finishes those under way.
// ready is called once it answers.
func (d *domain) serve(ctx context.Context, c config.Config, l listeners, log *slog.Logger, ready func()) error {
	health := newHealth(d.pool)
	handler, err := httpapi.New(httpapi.Options{
		Identity: d.identity, Ledger: d.ledger, Tokens: d.tokens, Ready: health.check, Log: log,
		Scale: c.CreditsScale, RequestTimeout: c.HTTP.RequestTimeout, MaxBody: maxBody,
	})
	if err != nil {
		return err
	}
	errorLog := slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	apiServer := &http.Server{
		Handler: handler, ErrorLog: errorLog, MaxHeaderBytes: 16 << 10,
		ReadHeaderTimeout: c.HTTP.ReadHeaderTimeout, ReadTimeout: c.HTTP.ReadTimeout,
		WriteTimeout: c.HTTP.WriteTimeout, IdleTimeout: c.HTTP.IdleTimeout,
	}
	// Profiles take as long as they are asked to, so that only the head is bounded.
	opsServer := &http.Server{Handler: telemetry.OpsHandler(), ErrorLog: errorLog, ReadHeaderTimeout: c.HTTP.ReadHeaderTimeout}

	failed := make(chan error, 2)
	go func() { failed <- apiServer.Serve(l.api) }()
	go func() { failed <- opsServer.Serve(l.ops) }()
	ready()

	select {
	case err = <-failed:
		err = fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
		log.InfoContext(ctx, "stopping")
	}
	health.stop()
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.HTTP.ShutdownTimeout)
	defer cancel()
	return errors.Join(err, apiServer.Shutdown(finish), opsServer.Close())
}
