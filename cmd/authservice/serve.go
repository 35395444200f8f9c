package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/authservice/authservice/internal/config"
	"github.com/authservice/authservice/internal/pgdb"
)

func serveCommand(e env) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the service, configured by the environment",
		Long: "Run the service on the PostgreSQL of DATABASE_URL.\n\n" +
			"Settings come from the environment and from a file .env in the working\ndirectory; .env.example lists them.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, e, err := e.loadConfig()
			if err != nil {
				return err
			}
			return serve(cmd.Context(), c, e)
		},
	}
}

func serve(ctx context.Context, c config.Config, e env) error {
	t, err := e.openTelemetry(ctx, c, e.stdout)
	if err != nil {
		return err
	}
	defer t.Close(ctx)
	log := t.Logger("service")
	warn(ctx, log, c, e)
	if _, err := newMailer(c); err != nil {
		return err // before anything is touched: a broken template is a wrong setting too
	}
	l, err := listen(ctx, c, log)
	if err != nil {
		return err
	}
	defer l.close()
	pool, closePool, err := openPool(ctx, c, t)
	if err != nil {
		return err
	}
	defer closePool()
	if err := migrated(ctx, c, pool, log); err != nil {
		return err
	}
	if err := warnOfDatabase(ctx, log, c, pool); err != nil {
		return err
	}
	reads, closeReads, err := openReads(ctx, c, pool, t)
	if err != nil {
		return err
	}
	defer closeReads()
	work, closeBcrypt := e.openBcrypt(ctx, c, t)
	defer closeBcrypt()
	d, err := newDomain(ctx, c, pool, reads, work, t)
	if err != nil {
		return err
	}
	return d.serve(ctx, c, l, t, nil, func() {
		log.InfoContext(ctx, "ready", "url", l.apiURL(), "ops_url", l.opsURL())
	})
}

// warn tells what is allowed but hardly meant.
func warn(ctx context.Context, log *slog.Logger, c config.Config, e env) {
	if c.Env == config.Production && e.setting("AUTH_PUBLIC_URL") == "" {
		log.WarnContext(ctx, "AUTH_PUBLIC_URL is not set: tokens are issued in the name of "+c.PublicURL)
	}
	if c.Env == config.Production && !c.RateLimitEnabled {
		log.WarnContext(ctx, "AUTH_RATE_LIMIT_ENABLED is false: passwords can be guessed without a limit")
	}
	if c.SMTP.Host == "" {
		log.WarnContext(ctx, "AUTH_SMTP_HOST is not set: no mail is sent, forgotten passwords cannot be reset")
	}
	if !c.HidesLinkTokens() {
		log.WarnContext(ctx, "AUTH_FRONTEND_URL has {token} before a #: servers and their logs see the tokens of mailed links")
	}
	if c.JWT.Algorithm == "HS256" {
		log.WarnContext(ctx, "AUTH_JWT_ALGORITHM is HS256: no other service can verify tokens")
	}
}

// warnOfDatabase does so once it is known.
func warnOfDatabase(ctx context.Context, log *slog.Logger, c config.Config, pool *pgxpool.Pool) error {
	if c.Env != config.Production {
		return nil
	}
	if !pgdb.Verified(pool) {
		log.WarnContext(ctx, "DATABASE_URL: the server is not verified, and whoever is in between can read along; use sslmode=verify-full with sslrootcert")
	}
	overpowered, err := pgdb.Overpowered(ctx, pool)
	if overpowered {
		log.WarnContext(ctx, "DATABASE_URL: its role may alter the schema or the ledger; use a login that has authservice_runtime and nothing else")
	}
	return err
}

// migrated sees to it that no migration is missing.
func migrated(ctx context.Context, c config.Config, pool *pgxpool.Pool, log *slog.Logger) error {
	pending, err := pgdb.Pending(ctx, pool)
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	if len(pending) == 0 {
		return nil
	}
	const remedy = "apply them with `authservice migrate up`, with the DATABASE_URL of the role that owns the tables"
	if !c.Database.Migrate {
		return fmt.Errorf("%d migrations are missing and AUTH_DATABASE_MIGRATE is false; %s", len(pending), remedy)
	}
	log.InfoContext(ctx, "migrating", "pending", len(pending))
	if err := pgdb.Migrate(ctx, c.DatabaseURL.Reveal(), logWriter{ctx, log}); err != nil {
		return fmt.Errorf("%w\n%d migrations are missing; %s", err, len(pending), remedy)
	}
	return nil
}

// logWriter makes a log line of each line that a library prints.
type logWriter struct {
	ctx context.Context //nolint:containedctx // an io.Writer has no other way to get one
	log *slog.Logger
}

func (w logWriter) Write(line []byte) (int, error) {
	w.log.InfoContext(w.ctx, string(trimLine(line)))
	return len(line), nil
}

func trimLine(line []byte) []byte {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
		line = line[:len(line)-1]
	}
	return line
}
