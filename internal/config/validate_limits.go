package config

import (
	"net"
	"strconv"
	"time"
)

const requestTimeout = "AUTH_HTTP_REQUEST_TIMEOUT"

func isAddress(address string) bool {
	_, port, err := net.SplitHostPort(address)
	_, portErr := strconv.ParseUint(port, 10, 16)
	return err == nil && portErr == nil
}

func (c *Config) checkHTTP(p *problems) {
	for name, address := range map[string]string{"AUTH_HTTP_ADDR": c.HTTP.Addr, "AUTH_OPS_ADDR": c.Ops.Addr} {
		p.must(isAddress(address), name, "must be an address such as 127.0.0.1:8080")
	}
	h := c.HTTP
	p.positive(h.ReadHeaderTimeout, "AUTH_HTTP_READ_HEADER_TIMEOUT")
	p.positive(h.ReadTimeout, "AUTH_HTTP_READ_TIMEOUT")
	p.positive(h.WriteTimeout, "AUTH_HTTP_WRITE_TIMEOUT")
	p.positive(h.IdleTimeout, "AUTH_HTTP_IDLE_TIMEOUT")
	p.positive(h.RequestTimeout, requestTimeout)
	p.must(h.WriteTimeout > h.RequestTimeout, "AUTH_HTTP_WRITE_TIMEOUT", "must be longer than "+requestTimeout)
	p.must(*h.DrainDelay >= 0 && *h.DrainDelay <= 5*time.Minute, "AUTH_HTTP_DRAIN_DELAY", "must be from 0s to 5m")
	p.positive(h.ShutdownTimeout, "AUTH_HTTP_SHUTDOWN_TIMEOUT")

	const cert, key = "AUTH_HTTP_TLS_CERT_FILE", "AUTH_HTTP_TLS_KEY_FILE"
	p.must(h.TLSCertFile == "" || h.TLSKeyFile != "", cert, "needs "+key)
	p.must(h.TLSKeyFile == "" || h.TLSCertFile != "", key, "needs "+cert)
}

func (c *Config) checkDatabase(p *problems) {
	d := c.Database
	p.must(d.Pooler == PoolerNone || d.Pooler == PoolerTransaction, "AUTH_DATABASE_POOLER", "must be one of none, transaction")
	p.must(d.ReplicaMaxLag >= time.Second && d.ReplicaMaxLag <= time.Hour, "AUTH_DATABASE_REPLICA_MAX_LAG", "must be from 1s to 1h")
	p.must(d.MaxConns > 0, "AUTH_DATABASE_MAX_CONNS", "must be at least 1")
	p.must(d.MinConns >= 0 && d.MinConns <= d.MaxConns, "AUTH_DATABASE_MIN_CONNS", "must be from 0 to AUTH_DATABASE_MAX_CONNS")
	p.positive(d.MaxConnLifetime, "AUTH_DATABASE_MAX_CONN_LIFETIME")
	p.positive(d.MaxConnIdleTime, "AUTH_DATABASE_MAX_CONN_IDLE_TIME")
	p.positive(d.ConnectTimeout, "AUTH_DATABASE_CONNECT_TIMEOUT")
	// Whoever waits for the database must hear of it before nobody listens any more.
	below := func(d, limit time.Duration, name, limitName string) {
		p.must(d > 0 && d < limit, name, "must be shorter than "+limitName)
	}
	below(d.AcquireTimeout, c.HTTP.RequestTimeout, "AUTH_DATABASE_ACQUIRE_TIMEOUT", requestTimeout)
	below(d.SilenceTimeout, c.HTTP.RequestTimeout, "AUTH_DATABASE_SILENCE_TIMEOUT", requestTimeout)
	below(d.StatementTimeout, c.HTTP.RequestTimeout, "AUTH_DATABASE_STATEMENT_TIMEOUT", requestTimeout)
	below(d.LockTimeout, d.StatementTimeout, "AUTH_DATABASE_LOCK_TIMEOUT", "AUTH_DATABASE_STATEMENT_TIMEOUT")
}
