package config

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const notOrigins = "must be origins such as https://app.example.com or https://*.example.com, separated by commas; " +
	"plain http only on this machine, and not everybody's subdomains"

const noLevel = "must be debug, info, warn or error, with exceptions such as info,jobs=debug"

// Each entry is wrong in one way; what is said of it is this and no more.
func TestConfig_Refuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ entry, complaint string }{
		{"AUTH_ENV=prod", "must be one of development, staging, production"},
		{"AUTH_ENV=Production", "must be one of development, staging, production"},
		{"DATABASE_URL=postgres://authservice:change-me@db/authservice", "still has the example's password"},

		{"AUTH_PUBLIC_URL=auth.example.com", "must be a URL such as https://auth.example.com"},
		{"AUTH_PUBLIC_URL=ftp://auth.example.com", "must be a URL such as https://auth.example.com"},
		{"AUTH_PUBLIC_URL=https://", "must be a URL such as https://auth.example.com"},
		{"AUTH_PUBLIC_URL=https://auth.example.com?x=1", "must be a URL such as https://auth.example.com"},
		{"AUTH_PUBLIC_URL=https://auth.example.com#x", "must be a URL such as https://auth.example.com"},
		{"AUTH_PUBLIC_URL=https://auth.example.com:x", "must be a URL such as https://auth.example.com"},
		{"AUTH_PUBLIC_URL=http://auth.example.com", "must be https in production"},
		{"AUTH_PUBLIC_URL=http://localhost.example.com", "must be https in production"},

		{"AUTH_FRONTEND_URL=http://www.example.com", "must be https in production"},
		{"AUTH_FRONTEND_URL=http://www.example.com/{page}", "must be https in production"},
		{"AUTH_MAIL_HOME_URL=javascript:alert(1)", "must be a URL such as https://www.example.com"},
		{"AUTH_MAIL_LOW_BALANCE=-1", "must be from 0 to 9007199254740991"},
		{"AUTH_MAIL_LOW_BALANCE=9007199254740992", "must be from 0 to 9007199254740991"},

		{"AUTH_TRUSTED_PROXIES=proxy", "must be addresses or networks such as 10.0.0.0/8, separated by commas"},
		{"AUTH_TRUSTED_PROXIES=10.0.0.1,proxy", "must be addresses or networks such as 10.0.0.0/8, separated by commas"},
		{"AUTH_TRUSTED_PROXIES=10.0.0.0/33", "must be addresses or networks such as 10.0.0.0/8, separated by commas"},
		{"AUTH_TRUSTED_PROXIES=10.0.0.1 10.0.0.2", "must be addresses or networks such as 10.0.0.0/8, separated by commas"},
		{"AUTH_TRUSTED_PROXIES=10.0.0.1:8080", "must be addresses or networks such as 10.0.0.0/8, separated by commas"},
		{"AUTH_TRUSTED_PROXIES=fe80::1%eth0", "must be addresses or networks such as 10.0.0.0/8, separated by commas"},
		{"AUTH_TRUSTED_PROXIES=fe80::%eth0/64", "must be addresses or networks such as 10.0.0.0/8, separated by commas"},

		{"AUTH_BCRYPT_CONCURRENCY=-1", "must be from 0 to 1024"},
		{"AUTH_BCRYPT_CONCURRENCY=1025", "must be from 0 to 1024"},
		{"AUTH_BCRYPT_QUEUE=0", "must be from 1 to 10000"},
		{"AUTH_BCRYPT_QUEUE=10001", "must be from 1 to 10000"},
		{"AUTH_BCRYPT_COST=3", "must be from 4 to 18"},
		{"AUTH_BCRYPT_COST=19", "must be from 4 to 18"},
		{"AUTH_BCRYPT_COST=9", "must be at least 10 in production"},
		{"AUTH_BCRYPT_COST=twelve", "must be a whole number"},

		{"AUTH_ACCESS_TOKEN_TTL=999ms", "must be from 1s to 24h"},
		{"AUTH_ACCESS_TOKEN_TTL=25h", "must be from 1s to 24h"},
		{"AUTH_ACCESS_TOKEN_TTL=15", "must be a duration such as 90s, 15m or 720h"},
		{"AUTH_REFRESH_TOKEN_TTL=15m", "must be longer than AUTH_ACCESS_TOKEN_TTL"},
		{"AUTH_REFRESH_GRACE=-1s", "must be from 0s to 1h, and shorter than AUTH_REFRESH_TOKEN_TTL"},
		{"AUTH_REFRESH_GRACE=61m", "must be from 0s to 1h, and shorter than AUTH_REFRESH_TOKEN_TTL"},
		{"AUTH_SESSION_TTL=719h", "must be at least AUTH_REFRESH_TOKEN_TTL"},

		{"AUTH_MAX_SESSIONS=0", "must be from 1 to 1000"},
		{"AUTH_MAX_SESSIONS=1001", "must be from 1 to 1000"},
		{"AUTH_JWT_KEY_ROTATION=59m59s", "must be at least 1h"},
		{"AUTH_RESET_LINK_TTL=59s", "must be from 1m to 744h"},
		{"AUTH_RESET_LINK_TTL=744h1s", "must be from 1m to 744h"},
		{"AUTH_VERIFICATION_LINK_TTL=59s", "must be from 1m to 744h"},
		{"AUTH_VERIFICATION_LINK_TTL=744h1s", "must be from 1m to 744h"},
		{"AUTH_INVITATION_TTL=59s", "must be from 1m to 744h"},
		{"AUTH_INVITATION_TTL=744h1s", "must be from 1m to 744h"},

		{"AUTH_RATE_LIMIT_ENABLED=off", "must be true or false"},
		{"AUTH_REQUIRE_EMAIL_VERIFICATION=yes", "must be true or false"},
		{"AUTH_REQUIRE_EMAIL_VERIFICATION=true", "needs AUTH_SMTP_HOST"},
		{"AUTH_SMTP_TLS=ssl", "must be one of none, starttls, tls"},
		{"AUTH_SMTP_PORT=0", "must be from 1 to 65535"},
		{"AUTH_SMTP_PORT=65536", "must be from 1 to 65535"},
		{"AUTH_SMTP_PORT=smtp", "must be a whole number"},

		{"AUTH_JWT_ALGORITHM=none", "must be one of EdDSA, ES256, RS256, HS256"},
		{"AUTH_JWT_ALGORITHM=eddsa", "must be one of EdDSA, ES256, RS256, HS256"},
		{"AUTH_LEDGER_CHECKPOINT_INTERVAL=59s", "must be at least 1m, or 0"},
		{"AUTH_LEDGER_CHECKPOINT_INTERVAL=-1h", "must be at least 1m, or 0"},
		{"AUTH_CREDITS_SCALE=10", "must be from 0 to 9"},
		{"AUTH_CREDITS_SCALE=-1", "must be from 0 to 9"},
		{"AUTH_LOG_FORMAT=xml", "must be one of text, json"},
		{"AUTH_LOG_LEVEL=INFO", noLevel},
		{"AUTH_LOG_LEVEL=info,jobs", noLevel},
		{"AUTH_LOG_LEVEL=info jobs=debug", noLevel},
		{"AUTH_LOG_LEVEL=info,jobs=,http=debug", noLevel},
		{"AUTH_LOGSTASH_ADDR=logs.example.com", "must be an address such as logstash.example.com:5000"},
		{"AUTH_LOGSTASH_CA_FILE=/etc/ca.pem", "needs AUTH_LOGSTASH_TLS=true"},
		{"AUTH_LOGSTASH_CERT_FILE=/etc/cert.pem", "needs AUTH_LOGSTASH_KEY_FILE"},
		{"AUTH_LOGSTASH_KEY_FILE=/etc/key.pem", "needs AUTH_LOGSTASH_CERT_FILE"},
		{"AUTH_LOGSTASH_QUEUE_MB=0", "must be from 1 to 1024"},
		{"AUTH_LOGSTASH_QUEUE_MB=1025", "must be from 1 to 1024"},

		{"AUTH_HTTP_ADDR=8080", "must be an address such as 127.0.0.1:8080"},
		{"AUTH_OPS_ADDR=::1:9090", "must be an address such as 127.0.0.1:8080"},
		{"AUTH_HTTP_READ_HEADER_TIMEOUT=0s", "must be longer than nothing"},
		{"AUTH_HTTP_READ_TIMEOUT=0s", "must be longer than nothing"},
		{"AUTH_HTTP_IDLE_TIMEOUT=-1s", "must be longer than nothing"},
		{"AUTH_HTTP_SHUTDOWN_TIMEOUT=0s", "must be longer than nothing"},
		{"AUTH_HTTP_WRITE_TIMEOUT=10s", "must be longer than AUTH_HTTP_REQUEST_TIMEOUT"},
		{"AUTH_HTTP_DRAIN_DELAY=-1s", "must be from 0s to 5m"},
		{"AUTH_HTTP_DRAIN_DELAY=301s", "must be from 0s to 5m"},
		{"AUTH_HTTP_TLS_CERT_FILE=cert.pem", "needs AUTH_HTTP_TLS_KEY_FILE"},
		{"AUTH_HTTP_TLS_KEY_FILE=key.pem", "needs AUTH_HTTP_TLS_CERT_FILE"},

		{"AUTH_CORS_ORIGINS=*", notOrigins},
		{"AUTH_CORS_ORIGINS=null", notOrigins},
		{"AUTH_CORS_ORIGINS=app.example.com", notOrigins},
		{"AUTH_CORS_ORIGINS=https://app.example.com/", notOrigins},
		{"AUTH_CORS_ORIGINS=https://app.example.com:443", notOrigins},
		{"AUTH_CORS_ORIGINS=https://app*.example.com", notOrigins},
		{"AUTH_CORS_ORIGINS=https://example.*", notOrigins},
		{"AUTH_CORS_ORIGINS=https://*.com", notOrigins},
		{"AUTH_CORS_ORIGINS=https://*.github.io", notOrigins},
		{"AUTH_CORS_ORIGINS=http://app.example.com", notOrigins},
		{"AUTH_CORS_ORIGINS=https://app.example.com https://www.example.com", notOrigins},
		{"AUTH_CORS_ORIGINS=https://app.example.com,*", notOrigins},

		{"AUTH_DATABASE_POOLER=pgbouncer", "must be one of none, transaction"},
		{"AUTH_DATABASE_POOLER=session", "must be one of none, transaction"},
		{"AUTH_DATABASE_REPLICA_MAX_LAG=999ms", "must be from 1s to 1h"},
		{"AUTH_DATABASE_REPLICA_MAX_LAG=61m", "must be from 1s to 1h"},
		{"AUTH_DATABASE_MAX_CONNS=99999999999", "must be a whole number"},
		{"AUTH_DATABASE_MIN_CONNS=-1", "must be from 0 to AUTH_DATABASE_MAX_CONNS"},
		{"AUTH_DATABASE_MIN_CONNS=17", "must be from 0 to AUTH_DATABASE_MAX_CONNS"},
		{"AUTH_DATABASE_MAX_CONN_LIFETIME=0s", "must be longer than nothing"},
		{"AUTH_DATABASE_MAX_CONN_IDLE_TIME=0s", "must be longer than nothing"},
		{"AUTH_DATABASE_CONNECT_TIMEOUT=0s", "must be longer than nothing"},
		{"AUTH_DATABASE_ACQUIRE_TIMEOUT=10s", "must be shorter than AUTH_HTTP_REQUEST_TIMEOUT"},
		{"AUTH_DATABASE_SILENCE_TIMEOUT=0s", "must be shorter than AUTH_HTTP_REQUEST_TIMEOUT"},
		{"AUTH_DATABASE_STATEMENT_TIMEOUT=10s", "must be shorter than AUTH_HTTP_REQUEST_TIMEOUT"},
		{"AUTH_DATABASE_LOCK_TIMEOUT=8s", "must be shorter than AUTH_DATABASE_STATEMENT_TIMEOUT"},
		{"AUTH_DATABASE_LOCK_TIMEOUT=0s", "must be shorter than AUTH_DATABASE_STATEMENT_TIMEOUT"},
		{"AUTH_DATABASE_MIGRATE=maybe", "must be true or false"},
	} {
		t.Run(test.entry, func(t *testing.T) {
			t.Parallel()
			name, _, _ := strings.Cut(test.entry, "=")
			_, err := Load(environ(test.entry))
			require.Equal(t, []string{name + ": " + test.complaint}, lines(err))
		})
	}
}

func TestConfig_Accepts(t *testing.T) {
	t.Parallel()
	for _, entries := range [][]string{
		{"AUTH_PUBLIC_URL=http://127.0.0.1:8080"},
		{"AUTH_PUBLIC_URL=http://[::1]:8080"},
		{"AUTH_PUBLIC_URL=https://example.com/auth/"},
		{"AUTH_PUBLIC_URL=http://auth.example.com", "AUTH_ENV=staging"},
		{"AUTH_FRONTEND_URL=http://localhost:3000/app"},
		{"AUTH_FRONTEND_URL=http://www.example.com", "AUTH_ENV=staging"},
		{"AUTH_MAIL_HOME_URL=https://www.example.com/start?from=mail"},
		{"AUTH_MAIL_LOW_BALANCE=9007199254740991"},
		{"AUTH_BCRYPT_COST=4", "AUTH_ENV=development"},
		{"AUTH_BCRYPT_CONCURRENCY=1024", "AUTH_BCRYPT_QUEUE=1"},
		{"AUTH_BCRYPT_QUEUE=10000"},
		{"AUTH_MAX_SESSIONS=1"},
		{"AUTH_MAX_SESSIONS=1000"},
		{"AUTH_JWT_KEY_ROTATION=1h"},
		{"AUTH_RESET_LINK_TTL=1m", "AUTH_VERIFICATION_LINK_TTL=1m", "AUTH_INVITATION_TTL=1m"},
		{"AUTH_RESET_LINK_TTL=744h", "AUTH_VERIFICATION_LINK_TTL=744h", "AUTH_INVITATION_TTL=744h"},
		{"AUTH_BCRYPT_COST=10"},
		{"AUTH_BCRYPT_COST=18"},
		{"AUTH_REFRESH_GRACE=0s"},
		{"AUTH_ACCESS_TOKEN_TTL=24h"},
		{"AUTH_SESSION_TTL=720h"},
		{"AUTH_LEDGER_CHECKPOINT_INTERVAL=0"},
		{"AUTH_LEDGER_CHECKPOINT_INTERVAL=1m"},
		{"AUTH_CREDITS_SCALE=9"},
		{"AUTH_LOG_LEVEL=jobs=debug"},
		{"AUTH_LOG_LEVEL=info, jobs=debug ,http=warn"},
		{"AUTH_HTTP_ADDR=127.0.0.1:0"},
		{"AUTH_DATABASE_MIN_CONNS=0", "AUTH_DATABASE_MAX_CONNS=1"},
	} {
		t.Run(strings.Join(entries, " "), func(t *testing.T) {
			t.Parallel()
			load(t, entries...)
		})
	}
}

func TestConfig_ReportsAllAtOnce(t *testing.T) {
	t.Parallel()
	_, err := Load([]string{"AUTH_ENV=x", "AUTH_BCRYPT_COST=1", "AUTH_LOG_LEVEL=x", "AUTH_HTTP_ADDR=x", "AUTH_OPS_ADDR=x"})
	require.Len(t, lines(err), 7)
	for _, name := range []string{"DATABASE_URL", "AUTH_ENCRYPTION_KEY", "AUTH_ENV", "AUTH_BCRYPT_COST", "AUTH_LOG_LEVEL", "AUTH_HTTP_ADDR", "AUTH_OPS_ADDR"} {
		require.Contains(t, err.Error(), name+": ")
	}
}

// An error names the variable, never what it holds.
func TestConfig_ErrorsHideValues(t *testing.T) {
	t.Parallel()
	// Settings in which a word is as good as anything else.
	free := []string{
		"DATABASE_URL", "AUTH_DATABASE_REPLICA_URL", "AUTH_JWT_ISSUER", "AUTH_JWT_AUDIENCE", "AUTH_DEV_DIR", "AUTH_SMTP_USERNAME", "AUTH_SMTP_PASSWORD", "AUTH_SMTP_CA_FILE",
		// Package mailer judges these.
		"AUTH_MAIL_PRODUCT_NAME", "AUTH_MAIL_LOGO_URL", "AUTH_MAIL_SUPPORT_ADDRESS", "AUTH_MAIL_PRIMARY_COLOR", "AUTH_MAIL_LOCALE",
		"AUTH_MAIL_DISABLED", "AUTH_MAIL_TEMPLATES_DIR",
		"AUTH_SMTP_HOST",
		"AUTH_SMTP_FROM", // without a server nobody sends
	}
	all := slices.Concat([]string{"DATABASE_URL", "AUTH_TYPO"}, names(), devOnly)

	for form, value := range map[string]string{
		"Word":     "hunter2",
		"Number":   "-777777777",
		"Duration": "-777777777s",
		"URL":      "postgres://authservice:change-me@hunter2/777777777",
		"File":     "file:/nowhere/hunter2/777777777",
		"Rate":     "777777777/777777777s",
		"Network":  "hunter2/777777777",
	} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			var accepted []string
			for _, name := range all {
				_, err := Load(environ("AUTH_SMTP_FROM=me@example.com", name+"="+value)) // the server's name alone would miss a sender
				if err == nil {
					accepted = append(accepted, name)
					continue
				}
				require.ErrorContains(t, err, name+": ")
				requireHidden(t, err)
			}
			if form == "Word" {
				require.ElementsMatch(t, free, accepted)
			}
			// And all together, as far as they are reported.
			var everything []string
			for _, name := range all {
				everything = append(everything, name+"="+value)
			}
			_, err := Load(everything)
			require.Error(t, err)
			requireHidden(t, err)
		})
	}
}

func requireHidden(t *testing.T, err error) {
	t.Helper()
	for _, part := range []string{"hunter2", "777777777", "nowhere"} {
		require.NotContains(t, err.Error(), part)
	}
}

func TestConfig_EncryptionKey(t *testing.T) {
	t.Parallel()
	key, err := base64.StdEncoding.DecodeString(goodKey)
	require.NoError(t, err)

	for name, text := range map[string]string{
		"Base64":       base64.StdEncoding.EncodeToString(key),
		"Base64Raw":    base64.RawStdEncoding.EncodeToString(key),
		"Base64URL":    base64.URLEncoding.EncodeToString(key),
		"Base64RawURL": base64.RawURLEncoding.EncodeToString(key),
		"Hex":          hex.EncodeToString(key),
		"HexUpper":     strings.ToUpper(hex.EncodeToString(key)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := load(t, "AUTH_ENCRYPTION_KEY="+text)
			require.Equal(t, key, c.EncryptionKeyBytes())
		})
	}

	ascending := make([]byte, 32)
	for i := range ascending {
		ascending[i] = byte(i)
	}
	const malformed, regular = "must be 32 random bytes", "is too regular to be random"
	for name, test := range map[string]struct{ text, complaint string }{
		"Word":      {"hunter2", malformed},
		"Example":   {exampleSecret, malformed},
		"Short":     {base64.StdEncoding.EncodeToString(key[:31]), malformed},
		"Long":      {base64.StdEncoding.EncodeToString(append(bytes.Clone(key), 7)), malformed},
		"ShortHex":  {hex.EncodeToString(key)[2:], malformed},
		"OddHex":    {hex.EncodeToString(key)[1:], malformed},
		"32Letters": {"abcdefghijklmnopqrstuvwxyz012345", malformed},
		"Zeros":     {base64.StdEncoding.EncodeToString(make([]byte, 32)), regular},
		"OneByte":   {strings.Repeat("ab", 32), regular},
		"FourBytes": {strings.Repeat("deadbeef", 8), regular},
		"Ascending": {hex.EncodeToString(ascending), regular},
		"Digits":    {strings.Repeat("01234567", 8), regular},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(environ("AUTH_ENCRYPTION_KEY=" + test.text))
			require.Len(t, lines(err), 1)
			require.ErrorContains(t, err, "AUTH_ENCRYPTION_KEY: "+test.complaint)
			require.NotContains(t, err.Error(), test.text)
		})
	}
}

func TestConfig_PasswordPepper(t *testing.T) {
	t.Parallel()
	for name, pepper := range map[string]string{
		"Short":   "k3Zq8vRt1Yw6Xn0Bs5Cd9Ef2Gh7Jm4L",
		"Word":    "hunter2",
		"Example": "k3Zq8vRt1Yw6Xn0Bs5" + exampleSecret + "Cd9Ef2Gh7Jm4L",
		"Regular": strings.Repeat("x", 64),
		"Pattern": strings.Repeat("abcd", 16),
		"Spaces":  strings.Repeat(" ", 32),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(environ("AUTH_PASSWORD_PEPPER=" + pepper))
			require.Equal(t, []string{"AUTH_PASSWORD_PEPPER: must be a random secret of at least 32 characters"}, lines(err))
		})
	}
}

func TestConfig_PreviousPeppers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"One":       {olderPepper, []string{olderPepper}},
		"Two":       {olderPepper + "," + goodPepper, []string{olderPepper, goodPepper}},
		"Spaces":    {" " + olderPepper + " ,\t" + goodPepper + "\n", []string{olderPepper, goodPepper}},
		"EmptyOnes": {"," + olderPepper + ",,", []string{olderPepper}},
		"None":      {" , ", nil},
		"Unset":     {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := load(t, "AUTH_PASSWORD_PEPPER_PREVIOUS="+test.text)
			var got []string
			for _, pepper := range c.PreviousPeppers() {
				got = append(got, string(pepper))
			}
			require.Equal(t, test.want, got)
		})
	}
	for name, text := range map[string]string{
		"Short":       goodPepper[1:],
		"ShortSecond": olderPepper + "," + goodPepper[1:],
		"Example":     olderPepper + exampleSecret,
		"Regular":     strings.Repeat("x", 64),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(environ("AUTH_PASSWORD_PEPPER_PREVIOUS=" + text))
			require.Equal(t, []string{"AUTH_PASSWORD_PEPPER_PREVIOUS: must be random secrets of at least 32 characters, separated by commas"}, lines(err))
		})
	}
}

func TestConfig_Mail(t *testing.T) {
	t.Parallel()
	const host, from = "AUTH_SMTP_HOST=mail.example.com", "AUTH_SMTP_FROM=no-reply@example.com"
	for name, test := range map[string]struct {
		entries   []string
		complaint string // none if it is good
	}{
		"Host":           {[]string{host, from}, ""},
		"FromWithName":   {[]string{host, "AUTH_SMTP_FROM=Example <no-reply@example.com>"}, ""},
		"FromQuoted":     {[]string{host, `AUTH_SMTP_FROM="Example Inc." <no-reply@example.com>`}, ""},
		"NoFrom":         {[]string{host}, "AUTH_SMTP_FROM: must be a sender such as Example <no-reply@example.com>"},
		"FromIsNone":     {[]string{host, "AUTH_SMTP_FROM=example.com"}, "AUTH_SMTP_FROM: must be a sender such as Example <no-reply@example.com>"},
		"FromAreTwo":     {[]string{host, from + ", b@example.com"}, "AUTH_SMTP_FROM: must be a sender such as Example <no-reply@example.com>"},
		"TLS":            {[]string{host, from, "AUTH_SMTP_TLS=tls"}, ""},
		"Plain":          {[]string{host, from, "AUTH_SMTP_TLS=none"}, "AUTH_SMTP_TLS: must not be none in production"},
		"PlainStaging":   {[]string{host, from, "AUTH_SMTP_TLS=none", "AUTH_ENV=staging"}, ""},
		"PlainLocal":     {[]string{"AUTH_SMTP_HOST=localhost", from, "AUTH_SMTP_TLS=none"}, ""},
		"PlainLoopback":  {[]string{"AUTH_SMTP_HOST=::1", from, "AUTH_SMTP_TLS=none"}, ""},
		"PlainUnused":    {[]string{"AUTH_SMTP_TLS=none"}, ""},
		"LocalInTheName": {[]string{"AUTH_SMTP_HOST=localhost.example.com", from, "AUTH_SMTP_TLS=none"}, "AUTH_SMTP_TLS: must not be none in production"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(environ(test.entries...))
			if test.complaint == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, []string{test.complaint}, lines(err))
		})
	}
}

// What is really random is never called regular.
func TestConfig_RandomIsVaried(t *testing.T) {
	t.Parallel()
	source := rand.New(rand.NewPCG(1, 2)) // the same in every run
	for range 2_000 {
		key := make([]byte, 32)
		for i := range key {
			key[i] = byte(source.Uint32())
		}
		require.True(t, varied(key), "%x", key)
		require.True(t, varied([]byte(hex.EncodeToString(key))), "%x in hexadecimal", key)
	}
}
