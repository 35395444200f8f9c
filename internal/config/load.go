package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kelseyhightower/envconfig"
)

// prefix begins the name of every setting but one.
const (
	prefix      = "AUTH"
	databaseURL = "DATABASE_URL"
)

// devOnly are settings of the dev command, which reads them itself.
var devOnly = []string{"AUTH_DEV_DIR"}

// Load reads and validates the settings in environ, which is in the form of
// os.Environ. The error names every variable that is wrong.
func Load(environ []string) (Config, error) {
	var c Config
	var p problems
	withEnviron(environ, func() {
		process(&p, prefix, &c)
		checkNames(&p)
	})
	var err error
	if c.DatabaseURL, err = DatabaseURL(environ); err != nil {
		p.add(databaseURL, err.Error())
	}
	c.derive()
	c.validate(&p)
	if err := p.err(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// DatabaseURL reads DATABASE_URL alone, for commands that need nothing else. The
// error does not name the variable.
func DatabaseURL(environ []string) (Secret, error) {
	value := settings(environ)[databaseURL]
	if value == "" {
		return Secret{}, errors.New("is required: postgres://user:password@host:5432/database")
	}
	var url Secret
	return url, url.Decode(value)
}

// Listener reads the settings of the public listener alone, for a program that
// asks it something.
func Listener(environ []string) (HTTP, error) {
	var h HTTP
	var p problems
	withEnviron(environ, func() { process(&p, prefix+"_HTTP", &h) })
	return h, p.err()
}

// process fills c from the process environment. The library stops at the
// first value that it cannot read; here it is told to go on without that value,
// so that all are reported.
func process(p *problems, prefix string, c any) {
	for err := envconfig.Process(prefix, c); err != nil; err = envconfig.Process(prefix, c) {
		var parse *envconfig.ParseError
		if !errors.As(err, &parse) {
			panic(err) // c is not what the library takes
		}
		p.add(parse.KeyName, complaint(parse))
		_ = os.Unsetenv(parse.KeyName)
	}
}

// complaint says what is expected; the library's own message repeats the value.
func complaint(e *envconfig.ParseError) string {
	switch {
	case errors.Is(e.Err, errUnreadable), errors.Is(e.Err, errRate), errors.Is(e.Err, errNetworks), errors.Is(e.Err, errOrigins):
		return e.Err.Error()
	case e.TypeName == "time.Duration":
		return "must be a duration such as 90s, 15m or 720h"
	case e.TypeName == "bool":
		return "must be true or false"
	}
	return "must be a whole number"
}

// checkNames finds misspelt settings, which would otherwise be defaults in silence.
func checkNames(p *problems) {
	known := slices.Concat(names(), devOnly)
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, prefix+"_") && !slices.Contains(known, name) {
			p.add(name, "there is no such setting; .env.example lists them")
		}
	}
}

// names lists the settings below the prefix.
func names() []string {
	var b strings.Builder
	if err := envconfig.Usagef(prefix, &Config{}, &b, "{{range .}}{{usage_key .}}\n{{end}}"); err != nil {
		panic(err) // the template is a constant
	}
	return strings.Fields(b.String())
}

// derive fills in what follows from other settings.
func (c *Config) derive() {
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	if c.JWT.Issuer == "" {
		c.JWT.Issuer = c.PublicURL
	}
	for i, kind := range c.Mail.Disabled { // the library does not trim
		c.Mail.Disabled[i] = strings.TrimSpace(kind)
	}
	format, level, drain := "json", "info", 5*time.Second
	if c.Env == Development {
		format, level, drain = "text", "debug", 0
	}
	if c.HTTP.DrainDelay == nil {
		c.HTTP.DrainDelay = &drain
	}
	if c.Log.Format == "" {
		c.Log.Format = format
	}
	if c.Log.Level == "" {
		c.Log.Level = level
	}
}

var environMu sync.Mutex

// withEnviron runs f with the settings in environ, and no others, in the
// process environment, which is the only place where envconfig looks.
func withEnviron(environ []string, f func()) {
	environMu.Lock()
	defer environMu.Unlock()
	before := ours(os.Environ())
	setOurs(settings(environ))
	defer setOurs(before)
	f()
}

// Apply runs f with the settings in environ, and no others, in the process
// environment: for libraries that read theirs there, such as those of
// OpenTelemetry.
func Apply(environ []string, f func()) { withEnviron(environ, f) }

// setOurs makes variables the only ones of ours in the process environment.
func setOurs(variables map[string]string) {
	for name := range ours(os.Environ()) {
		_ = os.Unsetenv(name)
	}
	for name, value := range variables {
		_ = os.Setenv(name, value) // fails only for names that no environment holds
	}
}

// ours picks our variables; of one that stands twice the last counts.
func ours(environ []string) map[string]string {
	found := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if name == databaseURL || strings.HasPrefix(name, prefix+"_") || strings.HasPrefix(name, "OTEL_") {
			found[name] = value
		}
	}
	return found
}

// settings are ours that have a value. An empty one is none, as compose files
// and CI systems write it, and hides no earlier one, such as a default of dev.
func settings(environ []string) map[string]string {
	return ours(slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		_, value, _ := strings.Cut(entry, "=")
		return value == ""
	}))
}

// Get returns a setting as it stands in environ, empty for none.
func Get(environ []string, name string) string { return settings(environ)[name] }

// WithPublicURL is c for a service whose address became known only when it was
// listened on.
func (c Config) WithPublicURL(url string) Config {
	if c.JWT.Issuer == c.PublicURL {
		c.JWT.Issuer = url
	}
	c.PublicURL = url
	return c
}

// WithMailServer is c for a mail server whose address became known only when it
// listened.
func (c Config) WithMailServer(addr string) (Config, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return c, fmt.Errorf("the mail server's address: %w", err)
	}
	c.SMTP.Host, c.SMTP.Port = at.Addr().String(), int(at.Port())
	return c, nil
}
