package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/bcryptworker"
	"github.com/authservice/authservice/internal/config"
	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/httpapi"
	"github.com/authservice/authservice/internal/identity"
	"github.com/authservice/authservice/internal/jobs"
	"github.com/authservice/authservice/internal/ledgerproof"
	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/ratelimit"
	"github.com/authservice/authservice/internal/telemetry"
	"github.com/authservice/authservice/internal/tokens"
	"github.com/authservice/authservice/internal/webui"
)

// maxBody is the size of the largest request body, in bytes.
const maxBody = 64 << 10

// domain is the service without its listeners, on a migrated database.
type domain struct {
	pool     *pgxpool.Pool
	tokens   *tokens.Service
	audit    *audit.Log
	limits   *ratelimit.Limiter
	jobs     *jobs.Queue
	identity *identity.Service
	ledger   *creditledger.Ledger

	checkpointer *ledgerproof.Checkpointer
}

// poolOptions are those of a database that log speaks of.
func poolOptions(c config.Config, t *telemetry.Telemetry, log *slog.Logger) pgdb.PoolOptions {
	pooled, patience := c.Database.Pooler == config.PoolerTransaction, c.Database.SilenceTimeout
	if pooled {
		// A sign of life waits for a connection, as long as those have them that wait for locks.
		patience += c.Database.LockTimeout
	}
	return pgdb.PoolOptions{
		MaxConns: c.Database.MaxConns, MinConns: c.Database.MinConns,
		MaxConnLifetime: c.Database.MaxConnLifetime, MaxConnIdleTime: c.Database.MaxConnIdleTime,
		ConnectTimeout: c.Database.ConnectTimeout, AcquireTimeout: c.Database.AcquireTimeout,
		StatementTimeout: c.Database.StatementTimeout, LockTimeout: c.Database.LockTimeout,
		Pooled: pooled, Watch: pgdb.NewWatch(patience, log), Tracer: t.DatabaseTracer(),
	}
}

// openPool opens the database and watches it, until closePool is called.
func openPool(ctx context.Context, c config.Config, t *telemetry.Telemetry) (pool *pgxpool.Pool, closePool func(), err error) {
	o := poolOptions(c, t, t.Logger("service"))
	pool, err = pgdb.Open(ctx, c.DatabaseURL.Reveal(), o)
	if err != nil {
		return nil, nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	stop := beside(ctx, o.Watch.Run)
	return pool, func() { stop(); pool.Close() }, nil
}

// openReads opens the database for reads that tolerate to be late: a standby, if
// there is one, and only as long as it is not too late.
func openReads(ctx context.Context, c config.Config, pool *pgxpool.Pool, t *telemetry.Telemetry) (reads dbgen.DBTX, closeReads func(), err error) {
	if !c.Database.ReplicaURL.IsSet() {
		return pool, func() {}, nil
	}
	log := t.Logger("service").With("database", "standby")
	o := poolOptions(c, t, log)
	standby, err := pgdb.OpenStandby(ctx, pool, c.Database.ReplicaURL.Reveal(), o, c.Database.ReplicaMaxLag, log)
	if err != nil {
		return nil, nil, fmt.Errorf("AUTH_DATABASE_REPLICA_URL: %w", err)
	}
	t.WatchStandby(standby.Near)
	stop := beside(ctx, o.Watch.Run, standby.Run)
	return standby, func() { stop(); standby.Close() }, nil
}

// openBcrypt has passwords hashed in a process of its own until closeBcrypt is called.
func (e env) openBcrypt(ctx context.Context, c config.Config, t *telemetry.Telemetry) (work bcryptWork, closeBcrypt func()) {
	if e.program == "" {
		return nil, func() {}
	}
	slots := cmp.Or(c.BcryptConcurrency, runtime.GOMAXPROCS(0))
	p := bcryptworker.NewProcess(e.program, []string{bcryptWorkerName}, slots, t.Logger("service"))
	return p.Do, beside(ctx, p.Run)
}

// beside runs functions until stop is called. The database is needed longer than
// ctx lasts: to finish what was begun.
func beside(ctx context.Context, all ...func(context.Context)) (stop func()) {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var ended sync.WaitGroup
	for _, f := range all {
		ended.Go(func() { f(running) })
	}
	return func() { cancel(); ended.Wait() }
}

// newDomain joins the rooms; reads is for those that may be late. Whoever calls it
// closes both.
func newDomain(ctx context.Context, c config.Config, pool *pgxpool.Pool, reads dbgen.DBTX, work bcryptWork, t *telemetry.Telemetry) (*domain, error) {
	key := c.EncryptionKeyBytes()
	sealer, err := tokens.NewSealer(key)
	if err != nil {
		return nil, err
	}
	d := &domain{
		pool: pool, audit: audit.New(pool, now, audit.LogTo(t.Logger("audit"))).ReadFrom(reads),
		limits: ratelimit.New(pool, ratelimit.Options{
			Key: tokens.DeriveKey(key, "limits"), Enabled: c.RateLimitEnabled, Now: now, Exceeded: limitHit(t),
		}),
	}
	if d.tokens, err = openTokens(ctx, c, pool, sealer, d.audit); err != nil {
		return nil, err
	}
	if d.jobs, err = jobs.New(pool, jobOptions(c, t)); err != nil {
		return nil, err
	}
	mailer, err := newMailer(c)
	if err != nil {
		return nil, err
	}
	credits := creditledger.Options{
		Now: now, Reads: reads, LowBalance: c.Mail.LowBalance, Observe: observeLedger(t), Together: t.Together("ledger batch"), Log: t.Logger("ledger"),
	}
	if mailer != nil {
		credits.Notify = d.tellOfCredits
	}
	d.ledger = creditledger.New(pool, credits)
	d.identity = identity.New(pool, identity.Rooms{
		Tokens: d.tokens, Audit: d.audit, Limiter: d.limits, Jobs: d.jobs, Sealer: sealer, Mailer: mailer, Reads: reads,
		UserCreated: d.ledger.OpenAccount, UserDeleted: d.ledger.CloseAccount,
	}, identityOptions(c, key, work, t))
	d.checkpointer = ledgerproof.NewCheckpointer(pool, tokens.DeriveKey(key, "ledger checkpoints"), now)
	d.registerJobs(t.Logger("jobs"))
	d.registerCheckpoints(t.Logger("ledger"), c.Ledger.CheckpointInterval)
	return d, nil
}

// tellOfCredits passes on to people what the ledger says that they may want to know.
func (d *domain) tellOfCredits(ctx context.Context, tx pgx.Tx, notices []creditledger.Notice) error {
	told := make([]identity.CreditNotice, len(notices))
	for i, n := range notices {
		told[i] = identity.CreditNotice(n)
	}
	return d.identity.TellOfCredits(ctx, tx, told)
}

func openTokens(ctx context.Context, c config.Config, pool *pgxpool.Pool, sealer *tokens.Sealer, events *audit.Log) (*tokens.Service, error) {
	t, err := tokens.Open(ctx, pool, sealer, tokens.Options{
		Algorithm: c.JWT.Algorithm, Issuer: c.JWT.Issuer, Audience: c.JWT.Audience, TTL: c.AccessTokenTTL,
		RotationInterval: c.JWT.KeyRotation, Rotated: auditRotation(events), Now: now,
	})
	if errors.Is(err, tokens.ErrWrongKey) {
		return nil, fmt.Errorf("AUTH_ENCRYPTION_KEY: %w", err)
	}
	return t, err
}

// auditRotation writes an event for each signing key that changed its state.
func auditRotation(events *audit.Log) func(context.Context, pgx.Tx, tokens.Rotation) error {
	return func(ctx context.Context, tx pgx.Tx, r tokens.Rotation) error {
		changed := map[string][]string{"next": nonEmpty(r.Made), "active": nonEmpty(r.Activated), "retired": r.Retired, "revoked": r.Revoked, "deleted": r.Deleted}
		for state, kids := range changed {
			for _, kid := range kids {
				err := events.Write(ctx, tx, audit.SigningKeyRotated, audit.Target{Type: audit.TargetSigningKey}, audit.Details{"kid": kid, "state": state})
				if err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func identityOptions(c config.Config, key []byte, work bcryptWork, t *telemetry.Telemetry) identity.Options {
	l := c.Limit
	return identity.Options{
		Passwords: identity.PasswordOptions{
			Cost: c.BcryptCost, Pepper: []byte(c.PasswordPepper.Reveal()), PreviousPeppers: c.PreviousPeppers(),
			Slots: c.BcryptConcurrency, Queue: c.BcryptQueue, Work: work,
		},
		RequireVerifiedEmail: c.RequireEmailVerification,
		RefreshKey:           tokens.DeriveKey(key, "refresh"),
		RefreshTokenTTL:      c.RefreshTokenTTL, RefreshGrace: c.RefreshGrace, SessionTTL: c.SessionTTL, MaxSessions: c.MaxSessions,
		LinkKey: tokens.DeriveKey(key, "links"), LinkPattern: c.LinkPattern(),
		ResetTTL: c.ResetLinkTTL, VerifyTTL: c.VerificationLinkTTL, InvitationTTL: c.InvitationTTL,
		LowBalance: c.Mail.LowBalance,
		Limits: identity.Limits{
			LoginPerAddress: ratelimit.Rate(l.LoginAddress), LoginPerPair: ratelimit.Rate(l.LoginPair),
			LoginPerAccount: ratelimit.Rate(l.LoginAccount), LoginUnderAttack: ratelimit.Rate(l.LoginUnderAttack),
			RegisterPerAddress: ratelimit.Rate(l.Register), MailPerAddress: ratelimit.Rate(l.MailAddress), MailPerAccount: ratelimit.Rate(l.MailAccount),
			LinkPerAddress: ratelimit.Rate(l.Link), RefreshPerAddress: ratelimit.Rate(l.Refresh), ConfirmPerSession: ratelimit.Rate(l.Confirm),
		},
		Now: now, Together: t.Together("who calls"),
	}
}

// serve answers requests on l until ctx ends, then finishes those under way.
// mailbox is dev's, nil for none. ready is called once it answers.
func (d *domain) serve(ctx context.Context, c config.Config, l listeners, t *telemetry.Telemetry, mailbox http.Handler, ready func()) error {
	log := t.Logger("service")
	d.observe(t)
	health := newHealth(d.pool)
	handler, err := httpapi.New(httpapi.Options{
		Identity: d.identity, Ledger: d.ledger, Tokens: d.tokens, Audit: d.audit, Ready: health.check,
		Log: t.Logger("http"), Metrics: t.Metrics, Spans: t.Spans(),
		Pages: webui.PagesOptions{ProductName: c.Mail.ProductName, HomeURL: c.Mail.HomeURL}, Mailbox: mailbox, TrustedProxies: c.TrustedProxies,
		CORSOrigins: c.CORSOrigins, HTTPS: strings.HasPrefix(c.PublicURL, "https:"),
		Scale: c.CreditsScale, RequestTimeout: c.HTTP.RequestTimeout, MaxBody: maxBody,
	})
	if err != nil {
		return err
	}
	going := &leaving{}
	api, ops := newServers(c, l, going.handler(handler), t.OpsHandler(), log)
	if err := d.jobs.Start(ctx); err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() { failed <- api.Serve(l.api) }()
	go func() { failed <- ops.Serve(l.ops) }()
	ready()

	select {
	case err = <-failed:
		err = fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
		log.InfoContext(ctx, "stopping")
		health.stop()
		going.begin()
		time.Sleep(*c.HTTP.DrainDelay)
	}
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.HTTP.ShutdownTimeout)
	defer cancel()
	jobsStopped := make(chan error, 1)
	go func() { jobsStopped <- d.jobs.Stop(finish) }()
	return errors.Join(err, shutdown(finish, api, log), <-jobsStopped, ops.Close())
}
