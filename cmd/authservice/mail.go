package main

import (
	"errors"
	"fmt"

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
		TLS: c.SMTP.TLS, CAFile: c.SMTP.CAFile, From: c.SMTP.From, Disabled: disabled,
		Design: mailer.Design{
			ProductName: c.Mail.ProductName, LogoURL: c.Mail.LogoURL, SupportAddress: c.Mail.SupportAddress,
			PrimaryColor: c.Mail.PrimaryColor, Locale: c.Mail.Locale, TemplatesDir: c.Mail.TemplatesDir,
		},
	})
	var wrong *mailer.OptionError
	if errors.As(err, &wrong) {
		return nil, fmt.Errorf("%s: %w", mailSettings[wrong.Option], wrong.Err)
	}
	return m, err
}

// mailSettings are the settings behind the mailer's options.
var mailSettings = map[string]string{
	"Host": "AUTH_SMTP_HOST", "Port": "AUTH_SMTP_PORT", "Username": "AUTH_SMTP_USERNAME", "Password": "AUTH_SMTP_PASSWORD",
	"TLS": "AUTH_SMTP_TLS", "CAFile": "AUTH_SMTP_CA_FILE", "From": "AUTH_SMTP_FROM", "Disabled": "AUTH_MAIL_DISABLED",
	"ProductName": "AUTH_MAIL_PRODUCT_NAME", "LogoURL": "AUTH_MAIL_LOGO_URL", "SupportAddress": "AUTH_MAIL_SUPPORT_ADDRESS",
	"PrimaryColor": "AUTH_MAIL_PRIMARY_COLOR", "Locale": "AUTH_MAIL_LOCALE", "TemplatesDir": "AUTH_MAIL_TEMPLATES_DIR",
}
