package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/authservice/authservice/internal/config"
	"github.com/authservice/authservice/internal/devmail"
)

func devCommand(e env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything on a private PostgreSQL, with demo data",
		Long: "Run the service on a private PostgreSQL, with demo data, for development and for\n" +
			"the tests of other programs. It needs no settings; those of serve work too.\n\n" +
			"AUTH_DEV_DIR is where the data is kept, and survives restarts. DATABASE_URL\n" +
			"replaces the private PostgreSQL.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			stopWithGoRun(ctx, cancel)
			announce := announcePeople
			if asJSON {
				announce = announceJSON
			}
			return dev(ctx, e, announce)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "when ready, print one line of JSON and nothing else on standard output")
	return cmd
}

// devInfo is what a person or a program needs to use a running dev; the fields
// are those of dev --json.
type devInfo struct {
	BaseURL          string  `json:"base_url"`
	OpsURL           string  `json:"ops_url"`
	DocsURL          string  `json:"docs_url"`
	MailboxURL       *string `json:"mailbox_url"` // null where AUTH_SMTP_HOST replaces the mailbox
	Admin            login   `json:"admin"`
	User             login   `json:"user"`
	APIKey           string  `json:"api_key"`
	DatabaseURL      string  `json:"database_url"`
	OwnerDatabaseURL string  `json:"owner_database_url"`
}

func dev(ctx context.Context, e env, announce func(io.Writer, devInfo) error) error {
	started := time.Now()
	progress := func(what string) { fmt.Fprintf(e.stderr, "[%4.1fs] %s\n", time.Since(started).Seconds(), what) }

	state, err := openDevDir(e.setting("AUTH_DEV_DIR"))
	if err != nil {
		return err
	}
	// Settings before anything is started: what is wrong with them is said at once.
	ownMailbox := e.setting("AUTH_SMTP_HOST") == ""
	defaults := state.defaults()
	if ownMailbox {
		defaults = append(defaults, "AUTH_SMTP_HOST=127.0.0.1", "AUTH_SMTP_TLS=none", "AUTH_SMTP_FROM=no-reply@example.com")
	}
	c, err := config.Load(append(defaults, e.environ...))
	if err != nil {
		return err
	}
	if _, err := newMailer(c); err != nil {
		return err
	}
	given := ""
	if e.setting("DATABASE_URL") != "" {
		given = c.DatabaseURL.Reveal()
	}
	db, err := openDevDatabase(ctx, given, state, progress)
	if err != nil {
		return err
	}
	defer db.close()
	ctx, cancel := db.whileRunning(ctx)
	defer cancel()

	t, err := e.openTelemetry(ctx, c, e.stderr)
	if err != nil {
		return err
	}
	defer t.Close(ctx)
	log := t.Logger("service")
	l, err := listen(ctx, c, log)
	if err != nil {
		return err
	}
	defer l.close()
	if e.setting("AUTH_PUBLIC_URL") == "" {
		c = c.WithPublicURL(l.apiURL())
	}
	c.DatabaseURL = config.NewSecret(db.runtimeURL)
	var mailbox http.Handler
	if ownMailbox {
		box, err := devmail.Start("127.0.0.1:0")
		if err != nil {
			return err
		}
		defer box.Close()
		mailbox = box.Handler(mailboxPath)
		if c, err = c.WithMailServer(box.Addr()); err != nil {
			return err
		}
	}

	progress("migrating the database")
	if err := db.migrate(ctx); err != nil {
		return err
	}
	pool, closePool, err := openPool(ctx, c, t)
	if err != nil {
		return err
	}
	defer closePool()
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
	info := devInfo{
		BaseURL: l.apiURL(), OpsURL: l.opsURL(), DocsURL: l.apiURL() + "/docs",
		DatabaseURL: db.runtimeURL, OwnerDatabaseURL: db.ownerURL,
	}
	if mailbox != nil {
		url := l.apiURL() + mailboxPath
		info.MailboxURL = &url
	}
	if err := seed(ctx, d, state, &info, progress); err != nil {
		return err
	}

	warn(ctx, log, c, e)
	var announced error
	err = d.serve(ctx, c, l, t, mailbox, func() {
		announced = announce(e.stdout, info)
		progress("ready; Ctrl-C stops everything")
	})
	if errors.Is(context.Cause(ctx), errPostgresGone) {
		return errPostgresGone
	}
	return errors.Join(err, announced)
}

// mailboxPath is where dev shows what was mailed.
const mailboxPath = "/dev/mail"

func announceJSON(w io.Writer, info devInfo) error {
	return json.NewEncoder(w).Encode(info)
}

func announcePeople(w io.Writer, i devInfo) error {
	mailbox := "none: mail goes to AUTH_SMTP_HOST"
	if i.MailboxURL != nil {
		mailbox = *i.MailboxURL
	}
	_, err := fmt.Fprintf(w, `
  Auth Service is ready.

  API          %[1]s
  Swagger UI   %[2]s
  Mailbox      %[11]s
  Operations   %[3]s/metrics, %[3]s/debug/pprof/
  PostgreSQL   %[4]s
               %[5]s  (owner)

  Administrator  %[6]s   %[7]s
  User           %[8]s   %[9]s
  API key        %[10]s

  Try it:

  curl -s %[1]s/v1/auth/login -H 'Content-Type: application/json' \
    -d '{"email":"%[8]s","password":"%[9]s"}'

`, i.BaseURL, i.DocsURL, i.OpsURL, i.DatabaseURL, i.OwnerDatabaseURL,
		i.Admin.Email, i.Admin.Password, i.User.Email, i.User.Password, i.APIKey, mailbox)
	return err
}
