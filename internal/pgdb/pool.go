package pgdb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// PoolOptions size a pool and bound what a statement may take.
type PoolOptions struct {
	MaxConns         int32
	MinConns         int32
	MaxConnLifetime  time.Duration
	MaxConnIdleTime  time.Duration
	ConnectTimeout   time.Duration
	AcquireTimeout   time.Duration   // how long to wait for a free connection; 0 for as long as the caller does
	StatementTimeout time.Duration   // how long one statement may run
	LockTimeout      time.Duration   // how long one may wait for a lock
	Pooled           bool            // url leads to a pooler that gives every transaction another connection
	Watch            *Watch          // of this pool; nil for none
	Tracer           pgx.QueryTracer // is told of every statement, and of more where it implements more; nil for none
}

// Open makes a pool for the database at url and checks that it answers.
func Open(ctx context.Context, url string, o PoolOptions) (*pgxpool.Pool, error) {
	pool, err := newPool(ctx, url, o)
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("reaching the database: %w", err)
	}
	if err := o.checkLimits(ctx, pool); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

func newPool(ctx context.Context, url string, o PoolOptions) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, withoutURL(err)
	}
	cfg.MaxConns = o.MaxConns
	cfg.MinConns = o.MinConns
	cfg.MaxConnLifetime = o.MaxConnLifetime
	cfg.MaxConnLifetimeJitter = o.MaxConnLifetime / 10
	cfg.MaxConnIdleTime = o.MaxConnIdleTime
	cfg.ConnConfig.ConnectTimeout = o.ConnectTimeout
	params := cfg.ConnConfig.RuntimeParams
	params["application_name"] = "authservice"
	params["timezone"] = "UTC"
	if o.Pooled {
		// A statement that one connection prepared is not there on the next.
		cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	} else {
		for name, limit := range o.limits() {
			params[name] = fmt.Sprint(limit.Milliseconds())
		}
	}
	cfg.AfterConnect = registerTypes
	watch := o.Watch
	if watch == nil {
		watch = NewWatch(0, nil)
	}
	cfg.ConnConfig.DialFunc = watch.dial
	cfg.PingTimeout = o.ConnectTimeout
	// A connection that was idle for long may be dead without a sign; with a sign,
	// it is found out however short it was.
	cfg.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool {
		return p.IdleDuration > time.Second || spoken(p.Conn)
	}
	var tracers []pgx.QueryTracer
	if o.Tracer != nil {
		tracers = append(tracers, o.Tracer)
	}
	if o.AcquireTimeout > 0 {
		tracers = append(tracers, acquireLimit{o.AcquireTimeout})
	}
	if len(tracers) > 0 {
		cfg.ConnConfig.Tracer = multitracer.New(tracers...)
	}
	watch.config = cfg.ConnConfig.Copy()
	watch.config.Tracer = nil
	watch.config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		return watch.connect(ctx, network, address)
	}

	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	return pool, nil
}

// registerTypes makes times come back as they were written, whatever the
// process's time zone, and UUIDs go over the wire as 16 bytes: left alone, pgx
// writes each as a text, which it then reads.
func registerTypes(_ context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	registerUUIDs(conn.TypeMap())
	return nil
}

// withoutURL keeps a database URL that cannot be read, and so may hold a
// password anywhere, out of the error.
func withoutURL(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return errors.New("it is not a PostgreSQL connection string")
	}
	return err
}
