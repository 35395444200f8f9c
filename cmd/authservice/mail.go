package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/authservice/authservice/internal/config"
	"github.com/authservice/authservice/internal/mailer"
)

// newMailer returns nil where no mail server is set.
func newMailer(c config.Config) (*mailer.Mailer, error) {
	if c.SMTP.Host == "" {
		return nil, nil //nolint:nilnil // no mail is a way to run the service
	}
	disabled := make([]mailer.Kind, len(c.Mail.Disabled))
	for i, kind := range c.Mail.Disabled {
		disabled[i] = mailer.Kind(kind)
	}
	m, err := mailer.New(mailer.Options{
		Host: c.SMTP.Host, Port: c.SMTP.Port, Username: c.SMTP.Username, Password: c.SMTP.Password.Reveal(),
		TLS: c.SMTP.TLS, CAFile: c.SMTP.CAFile, From: c.SMTP.From, Disabled: disabled, Design: mailDesign(c),
	})
	return m, inSettings(err)
}

func mailDesign(c config.Config) mailer.Design {
	return mailer.Design{
		ProductName: c.Mail.ProductName, HomeURL: c.Mail.HomeURL, LogoURL: c.Mail.LogoURL, SupportAddress: c.Mail.SupportAddress,
		PrimaryColor: c.Mail.PrimaryColor, Locale: c.Mail.Locale, TemplatesDir: c.Mail.TemplatesDir, CreditsScale: c.CreditsScale,
	}
}

// inSettings names the setting behind an option that cannot be used.
func inSettings(err error) error {
	var wrong *mailer.OptionError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%s: %w", mailSettings[wrong.Option], wrong.Err)
	}
	return err
}

// mailSettings are the settings behind the mailer's options.
var mailSettings = map[string]string{
	"Host": "AUTH_SMTP_HOST", "Port": "AUTH_SMTP_PORT", "Username": "AUTH_SMTP_USERNAME", "Password": "AUTH_SMTP_PASSWORD",
	"TLS": "AUTH_SMTP_TLS", "CAFile": "AUTH_SMTP_CA_FILE", "From": "AUTH_SMTP_FROM", "Disabled": "AUTH_MAIL_DISABLED",
	"ProductName": "AUTH_MAIL_PRODUCT_NAME", "HomeURL": "AUTH_MAIL_HOME_URL", "LogoURL": "AUTH_MAIL_LOGO_URL", "SupportAddress": "AUTH_MAIL_SUPPORT_ADDRESS",
	"PrimaryColor": "AUTH_MAIL_PRIMARY_COLOR", "Locale": "AUTH_MAIL_LOCALE", "TemplatesDir": "AUTH_MAIL_TEMPLATES_DIR",
}

func mailCommand(e env) *cobra.Command {
	cmd := &cobra.Command{Use: "mail", Short: "Try the mail server and the templates, and see to failed mails"}
	templates := &cobra.Command{Use: "templates", Short: "Take, change and check the templates of mails"}
	templates.AddCommand(templatesExportCommand(e), templatesCheckCommand(e), templatesPreviewCommand(e))
	cmd.AddCommand(mailTestCommand(e), mailFailedCommand(e), templates)
	return cmd
}

func mailTestCommand(e env) *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "test --to ADDRESS",
		Short: "Send one mail now, as the settings say",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, e, err := e.loadConfig()
			if err != nil {
				return err
			}
			m, err := newMailer(c)
			if err != nil {
				return err
			}
			if m == nil {
				return errors.New("AUTH_SMTP_HOST is not set: no mail is sent")
			}
			sample := mailer.Sample(mailer.VerifyEmail, c.Mail.Locale)
			sample.To = to
			sample.Link = strings.NewReplacer("{page}", "verify-email", "{token}", "this-is-only-a-test").Replace(c.LinkPattern())
			if err := m.Send(cmd.Context(), sample); err != nil {
				return err
			}
			fmt.Fprintf(e.stdout, "%s:%d has taken the mail\n", c.SMTP.Host, c.SMTP.Port)
			return nil
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "e-mail address")
	if err := cmd.MarkFlagRequired("to"); err != nil {
		panic(err) // the flag stands a line above
	}
	return cmd
}

func templatesExportCommand(e env) *cobra.Command {
	return &cobra.Command{
		Use:   "export DIRECTORY",
		Short: "Write the built-in templates down, to be changed there for AUTH_MAIL_TEMPLATES_DIR",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := mailer.Export(args[0]); err != nil {
				return err
			}
			fmt.Fprintf(e.stdout, "%s has the templates; keep those that you change\n", args[0])
			return nil
		},
	}
}

func templatesCheckCommand(e env) *cobra.Command {
	return &cobra.Command{
		Use:   "check DIRECTORY",
		Short: "Check templates as the service does when it starts",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			t, err := templatesIn(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(e.stdout, "good, in %s\n", strings.Join(t.Languages(), ", "))
			return nil
		},
	}
}

func templatesPreviewCommand(e env) *cobra.Command {
	var from, locale string
	cmd := &cobra.Command{
		Use:   "preview DIRECTORY",
		Short: "Write every kind of mail, filled in with examples, as HTML and text",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			t, err := templatesIn(from)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil { //nolint:gosec // examples, for anybody to read
				return fmt.Errorf("making the directory: %w", err)
			}
			for _, kind := range mailer.Kinds() {
				mail, err := t.Render(mailer.Sample(kind, locale))
				if err != nil {
					return err
				}
				for ext, content := range map[string]string{".html": mail.HTML, ".txt": mail.Subject + "\n\n" + mail.Text} {
					if err := os.WriteFile(filepath.Join(args[0], string(kind)+ext), []byte(content), 0o644); err != nil { //nolint:gosec // likewise
						return fmt.Errorf("writing the preview: %w", err)
					}
				}
			}
			fmt.Fprintf(e.stdout, "%s has %d mails\n", args[0], len(mailer.Kinds()))
			return nil
		},
	}
	cmd.Flags().StringVar(&from, "templates", "", "directory of templates that replace the built-in ones")
	cmd.Flags().StringVar(&locale, "locale", "en", "language")
	return cmd
}

// templatesIn reads templates without the service's other settings.
func templatesIn(dir string) (*mailer.Templates, error) {
	t, err := mailer.NewTemplates(mailer.Design{ProductName: "Example", TemplatesDir: dir, CreditsScale: 2})
	return t, inSettings(err)
}
