package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/authservice/authservice/internal/config"
	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/jobs"
	"github.com/authservice/authservice/internal/telemetry"
)

// openTelemetry opens what operators see of the service: its lines go to out.
func (e env) openTelemetry(ctx context.Context, c config.Config, out io.Writer) (t *telemetry.Telemetry, err error) {
	o := telemetry.Options{
		Service: about(c), Out: out, Text: c.Log.Format == "text", Color: e.wantsColor(out), Levels: c.Log.Level, Traces: true,
	}
	if o.Logstash, err = logstashOptions(c.Logstash); err != nil {
		return nil, err
	}
	// OpenTelemetry's own settings may stand in .env as well.
	config.Apply(e.environ, func() { t, err = telemetry.Open(ctx, o) })
	return t, err
}

// commandTelemetry is that of a command that runs beside the service: warnings on
// standard error.
func (e env) commandTelemetry(ctx context.Context, c config.Config) (*telemetry.Telemetry, error) {
	return telemetry.Open(ctx, telemetry.Options{
		Service: about(c), Out: e.stderr, Text: c.Log.Format == "text", Color: e.wantsColor(e.stderr), Levels: "warn",
	})
}

// about is the service as every line names it. Its node is unique: two of them on
// one host, or one after another, are not taken for each other.
func about(c config.Config) telemetry.Service {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return telemetry.Service{Name: "authservice", Version: version(), Environment: c.Env, Node: host + "-" + strings.ToLower(rand.Text()[:8])}
}

// wantsColor honours NO_COLOR (no-color.org).
func (e env) wantsColor(out io.Writer) bool {
	terminal, ok := out.(*os.File)
	refused := slices.ContainsFunc(e.environ, func(entry string) bool {
		value, set := strings.CutPrefix(entry, "NO_COLOR=")
		return set && value != ""
	})
	return ok && !refused && term.IsTerminal(int(terminal.Fd()))
}

func logstashOptions(c config.Logstash) (*telemetry.LogstashOptions, error) {
	if c.Addr == "" {
		return nil, nil //nolint:nilnil // none is a setting like any other
	}
	o := &telemetry.LogstashOptions{Addr: c.Addr, Queue: c.QueueMB << 20, Trust: !c.Receipt}
	if !c.TLS {
		return o, nil
	}
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return nil, fmt.Errorf("AUTH_LOGSTASH_ADDR: %w", err)
	}
	o.TLS = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		if o.TLS.RootCAs, err = trusting(c.CAFile); err != nil {
			return nil, fmt.Errorf("AUTH_LOGSTASH_CA_FILE: %w", err)
		}
	}
	if c.CertFile != "" {
		load := func() (*tls.Certificate, error) {
			cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
			return &cert, err
		}
		if _, err := load(); err != nil {
			return nil, fmt.Errorf("AUTH_LOGSTASH_CERT_FILE: %w", err)
		}
		// Read for every connection, of which there are few, so that it can be renewed.
		o.TLS.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	return o, nil
}

// trusting returns the system's certificates and those in a file.
func trusting(file string) (*x509.CertPool, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return pool, nil
}

// observe exports the numbers of the domain.
func (d *domain) observe(t *telemetry.Telemetry) {
	t.WatchPool(d.pool)
	t.WatchHashQueue(func() telemetry.HashQueue { return telemetry.HashQueue(d.identity.HashQueue()) })
	t.WatchJobs(func(ctx context.Context) ([]telemetry.JobCount, error) {
		counts, err := d.jobs.Counts(ctx)
		found := make([]telemetry.JobCount, len(counts))
		for i, c := range counts {
			found[i] = telemetry.JobCount(c)
		}
		return found, err
	})
}

// jobOptions are how the queue hears of its jobs, and what it tells of them.
func jobOptions(c config.Config, t *telemetry.Telemetry) jobs.Options {
	return jobs.Options{
		Log: t.Logger("jobs"), Watcher: t.Jobs(),
		// Without a database River complains about each of its loops every second.
		RiverLog: telemetry.Seldom(t.Logger("river"), time.Minute),
		PollOnly: c.Database.Pooler == config.PoolerTransaction, // LISTEN needs a session
	}
}

// observeLedger counts what the ledger's batches bring about.
func observeLedger(t *telemetry.Telemetry) func(context.Context, creditledger.BatchStats) {
	return func(_ context.Context, s creditledger.BatchStats) {
		t.LedgerCommitted(telemetry.LedgerBatch{
			Operations: s.Operations, Accounts: s.Accounts, Waited: s.Waited, Took: s.Took,
			Postings: byName(s.Posted), HoldEvents: byName(s.HoldEvents),
		})
	}
}

func byName[K ~string](counts map[K]int) map[string]int {
	named := make(map[string]int, len(counts))
	for name, n := range counts {
		named[string(name)] = n
	}
	return named
}

// limitHit counts under the action's name, as names of metrics are written.
func limitHit(t *telemetry.Telemetry) func(action string) {
	return func(action string) { t.LimitHit(strings.ReplaceAll(action, " ", "_")) }
}
