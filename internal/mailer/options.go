package mailer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Options say where mails go, whom they come from and what they look like.
type Options struct {
	Host     string
	Port     int    // 0: 587 with "starttls", 465 with "tls", 25 with "none"
	Username string // empty: no authentication
	Password string
	// TLS is "starttls" (also if empty), "tls" from the first byte, or "none".
	// There is no falling back from one to the other.
	TLS    string
	CAFile string // PEM certificates to trust besides the system's
	From   string // RFC 5322, as "Example <mail@example.com>"

	// How long to wait for a connection, for the greeting (with TLS from the
	// first byte: and the handshake), and for everything together. 10 s, 10 s
	// and one minute if zero.
	ConnectTimeout, GreetingTimeout, Timeout time.Duration

	Design
	Disabled []Kind // not sent; Required ones cannot be in it

	Now func() time.Time // time.Now if nil
}

// Design is what mails look like.
type Design struct {
	ProductName    string
	HomeURL        string // where the product is, for mails that lead nowhere else; may be empty
	LogoURL        string // empty: the name stands there instead
	SupportAddress string // whom people write to for help; may be empty
	PrimaryColor   string // of buttons, as "#1a2b3c"; a blue if empty
	// TemplatesDir has files that replace ours of the same path, and may have
	// further languages; see [Export].
	TemplatesDir string
	Locale       string // of people who have none; "en" if empty
	CreditsScale int    // decimals of a credit, of which the smallest unit is the last
}

// OptionError is an option that cannot be used.
type OptionError struct {
	Option string // the field's name in Options
	Err    error  // never holds the value of a secret
}

func (e *OptionError) Error() string { return "mailer: " + e.Option + " " + e.Err.Error() }

// Unwrap returns what is wrong with the option.
func (e *OptionError) Unwrap() error { return e.Err }

func wrong(option, format string, args ...any) error {
	return &OptionError{Option: option, Err: fmt.Errorf(format, args...)}
}

// complete fills in what was left out, and refuses what cannot be.
func (o *Options) complete() error {
	if o.TLS == "" {
		o.TLS = "starttls"
	}
	port, known := map[string]int{"none": 25, "starttls": 587, "tls": 465}[o.TLS]
	if o.Port == 0 {
		o.Port = port
	}
	o.ConnectTimeout = or(o.ConnectTimeout, 10*time.Second)
	o.GreetingTimeout = or(o.GreetingTimeout, 10*time.Second)
	o.Timeout = or(o.Timeout, time.Minute)
	if o.Now == nil {
		o.Now = time.Now
	}
	switch {
	case !known:
		return wrong("TLS", `must be "none", "starttls" or "tls"`)
	case o.Host == "" || strings.ContainsAny(o.Host, " \t\r\n/[]@"):
		return wrong("Host", "must be a host name or an address, without a port")
	case o.Port < 1 || o.Port > 65535:
		return wrong("Port", "must be between 1 and 65535")
	case o.Username == "" && o.Password != "":
		return wrong("Username", "must be set where there is a password")
	case o.TLS == "none" && o.Username != "" && !isLoopback(o.Host):
		return wrong("TLS", `must not be "none": the password would be sent in the clear`)
	}
	for _, kind := range o.Disabled {
		switch {
		case !slices.Contains(kinds, kind):
			return wrong("Disabled", "names %q, which is no kind of mail", kind)
		case kind.Required():
			return wrong("Disabled", "names %q, which security needs", kind)
		}
	}
	return nil
}

func or(d, standard time.Duration) time.Duration {
	if d <= 0 {
		return standard
	}
	return d
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

var hexColor = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

func (d *Design) complete() error {
	d.ProductName = line(d.ProductName, maxName)
	if d.PrimaryColor == "" {
		d.PrimaryColor = "#1d4ed8"
	}
	if d.Locale == "" {
		d.Locale = fallback
	}
	switch {
	case d.ProductName == "":
		return wrong("ProductName", "must be set")
	case d.LogoURL != "" && !isWebURL(d.LogoURL):
		return wrong("LogoURL", "must be an http or https URL")
	case d.HomeURL != "" && !isWebURL(d.HomeURL):
		return wrong("HomeURL", "must be an http or https URL")
	case d.SupportAddress != "" && !isBare(d.SupportAddress):
		return wrong("SupportAddress", "must be an e-mail address without a name")
	case !hexColor.MatchString(d.PrimaryColor):
		return wrong("PrimaryColor", `must be six hexadecimal digits, as "#1a2b3c"`)
	}
	return nil
}

// isBare tells whether s is an address, the whole address and nothing but the address.
func isBare(s string) bool {
	a, err := mail.ParseAddress("<" + s + ">")
	return err == nil && a.Name == "" && a.Address == s && line(s, len(s)) == s
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > '~' || r < ' ' })
}

// sender reads From.
func (o *Options) sender() (*mail.Address, error) {
	a, err := mail.ParseAddress(o.From)
	switch {
	case err != nil:
		return nil, wrong("From", "must be an address, as in Example <mail@example.com>: %w", err)
	case !isBare(a.Address) || !isASCII(a.Address):
		return nil, wrong("From", "must have an address in ASCII")
	}
	a.Name = line(a.Name, maxName)
	return a, nil
}

// tlsConfig checks the certificate against the host's name, always.
func (o *Options) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{ServerName: o.Host, MinVersion: tls.VersionTLS12}
	if o.CAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(o.CAFile)
	if err != nil {
		return nil, wrong("CAFile", "cannot be read: %w", err)
	}
	if config.RootCAs, err = x509.SystemCertPool(); err != nil {
		config.RootCAs = x509.NewCertPool()
	}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, &OptionError{Option: "CAFile", Err: errors.New("has no certificate in PEM form")}
	}
	return config, nil
}
