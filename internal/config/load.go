package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/kelseyhightower/envconfig"
)

// prefix begins the name of every setting but DATABASE_URL.
const prefix = "AUTH"

// Reserved are settings of the contract that this version does not use yet.
// They are accepted, so that a deployment's environment can be complete, and
// the service warns that they have no effect.
var Reserved = []string{
	"AUTH_CORS_ORIGINS", "AUTH_FRONTEND_URL", "AUTH_LOGSTASH_ADDR", "AUTH_MAIL_TEMPLATES_DIR",
	"AUTH_RATE_LIMIT_ENABLED", "AUTH_REQUIRE_EMAIL_VERIFICATION", "AUTH_SMTP_FROM", "AUTH_SMTP_HOST",
	"AUTH_SMTP_PASSWORD", "AUTH_SMTP_PORT", "AUTH_SMTP_TLS", "AUTH_SMTP_USERNAME", "AUTH_TRUSTED_PROXIES",
}

// devOnly are settings of the dev command, which reads them itself.
var devOnly = []string{"AUTH_DEV_DIR"}

// Load reads and validates the settings in environ, which is in the form of
// os.Environ. The error names every variable that is wrong.
func Load(environ []string) (Config, error) {
	var c Config
	var err error
	withEnviron(environ, func() {
		err = errors.Join(read(&c), unknown())
	})
	if err != nil {
		return Config{}, err
	}
	c.derive()
	return c, c.validate()
}

// read fills c from the process environment.
func read(c *Config) error {
	var database struct {
		Database struct{ URL Secret }
	}
	if err := process("", &database); err != nil {
		return err
	}
	c.DatabaseURL = database.Database.URL
	return process(prefix, c)
}

func process(prefix string, spec any) error {
	err := envconfig.Process(prefix, spec)
	var parse *envconfig.ParseError
	if errors.As(err, &parse) {
		// The library's own message repeats the value.
		return fmt.Errorf("%s: is not a valid %s", parse.KeyName, strings.TrimPrefix(parse.TypeName, "config."))
	}
	return err
}

// unknown finds misspelt settings, which would otherwise be defaults in silence.
func unknown() error {
	known := slices.Concat(names(), Reserved, devOnly)
	var errs []error
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, prefix+"_") && !slices.Contains(known, name) {
			errs = append(errs, fmt.Errorf("%s: there is no such setting; .env.example lists them", name))
		}
	}
	return errors.Join(errs...)
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
	format, level := "json", "info"
	if c.Env == Development {
		format, level = "text", "debug"
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
	before := settings(os.Environ())
	replaceEnviron(before, settings(environ))
	defer replaceEnviron(settings(environ), before)
	f()
}

func replaceEnviron(from, to map[string]string) {
	for name := range from {
		_ = os.Unsetenv(name)
	}
	for name, value := range to {
		_ = os.Setenv(name, value) // fails only for names that no environment holds
	}
}

// settings picks ours; of an entry that stands twice the last counts. An empty
// value is none, as compose files and CI systems write it.
func settings(environ []string) map[string]string {
	found := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case name != "DATABASE_URL" && !strings.HasPrefix(name, prefix+"_"):
		case value == "":
			delete(found, name)
		default:
			found[name] = value
		}
	}
	return found
}

// ReservedIn lists the reserved settings that environ sets.
func ReservedIn(environ []string) []string {
	var set []string
	for name := range settings(environ) {
		if slices.Contains(Reserved, name) {
			set = append(set, name)
		}
	}
	slices.Sort(set)
	return set
}

// WithPublicURL is c for a service whose address became known only when it was
// listened on.
func (c Config) WithPublicURL(url string) Config {
	if c.JWT.Issuer == c.PublicURL {
		c.JWT.Issuer = url
	}
	c.PublicURL = url
	return c
}
