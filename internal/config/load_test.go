package config

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func defaults() Config {
	return Config{
		DatabaseURL: NewSecret(goodURL), EncryptionKey: NewSecret(goodKey),
		Env: Production, PublicURL: "http://localhost:8080",
		HTTP: HTTP{
			Addr: ":8080", ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second,
			IdleTimeout: time.Minute, RequestTimeout: 10 * time.Second, DrainDelay: new(5 * time.Second), ShutdownTimeout: 20 * time.Second,
		},
		Ops: Ops{Addr: "127.0.0.1:9090"},
		Database: Database{
			Pooler: "none", ReplicaMaxLag: 5 * time.Second, MaxConns: 16, MinConns: 2, MaxConnLifetime: time.Hour, MaxConnIdleTime: 10 * time.Minute,
			ConnectTimeout: 5 * time.Second, AcquireTimeout: 4 * time.Second, SilenceTimeout: 3 * time.Second, StatementTimeout: 8 * time.Second, LockTimeout: 4 * time.Second, Migrate: true,
		},
		BcryptCost: 12, BcryptQueue: 32,
		AccessTokenTTL: 15 * time.Minute, RefreshTokenTTL: 720 * time.Hour, RefreshGrace: 30 * time.Second, SessionTTL: 2160 * time.Hour, MaxSessions: 20,
		JWT:          JWT{Algorithm: "EdDSA", Issuer: "http://localhost:8080", Audience: "authservice", KeyRotation: 720 * time.Hour},
		ResetLinkTTL: 30 * time.Minute, VerificationLinkTTL: 24 * time.Hour, InvitationTTL: 168 * time.Hour,
		RateLimitEnabled: true,
		Limit: Limits{
			LoginAddress: Rate{100, 15 * time.Minute}, LoginPair: Rate{10, 15 * time.Minute}, LoginAccount: Rate{50, 15 * time.Minute},
			LoginUnderAttack: Rate{3, 15 * time.Minute}, Register: Rate{100, time.Hour}, MailAddress: Rate{30, time.Hour}, MailAccount: Rate{5, time.Hour},
			Link: Rate{60, time.Hour}, Refresh: Rate{300, time.Minute}, Confirm: Rate{10, 15 * time.Minute},
		},
		SMTP:         SMTP{Port: 587, TLS: "starttls"},
		Mail:         Mail{ProductName: "Auth Service", PrimaryColor: "#1d4ed8", Locale: "en"},
		Ledger:       Ledger{CheckpointInterval: time.Hour},
		CreditsScale: 2, Log: Log{Format: "json", Level: "info"}, Logstash: Logstash{QueueMB: 16, Receipt: true},
	}
}

func TestConfig_Load(t *testing.T) {
	t.Parallel()

	t.Run("Defaults", func(t *testing.T) {
		t.Parallel()
		require.Empty(t, diff(defaults(), load(t)))
	})
	t.Run("EverySetting", func(t *testing.T) {
		t.Parallel()
		set := []string{
			"AUTH_ENV=staging", "AUTH_PUBLIC_URL=https://auth.example.com/", "AUTH_FRONTEND_URL=https://www.example.com/app/", "AUTH_TRUSTED_PROXIES=10.0.0.0/8",
			"AUTH_CORS_ORIGINS=https://app.example.com, https://*.example.com:8443,http://localhost:3000",
			"AUTH_HTTP_ADDR=127.0.0.1:1", "AUTH_HTTP_READ_HEADER_TIMEOUT=1s", "AUTH_HTTP_READ_TIMEOUT=2s", "AUTH_HTTP_WRITE_TIMEOUT=40s",
			"AUTH_HTTP_IDLE_TIMEOUT=4s", "AUTH_HTTP_REQUEST_TIMEOUT=20s", "AUTH_HTTP_SHUTDOWN_TIMEOUT=6s", "AUTH_OPS_ADDR=[::1]:2",
			"AUTH_HTTP_DRAIN_DELAY=7s", "AUTH_HTTP_TLS_CERT_FILE=/etc/tls.crt", "AUTH_HTTP_TLS_KEY_FILE=/etc/tls.key",
			"AUTH_DATABASE_POOLER=transaction", "AUTH_DATABASE_REPLICA_URL=postgres://standby", "AUTH_DATABASE_REPLICA_MAX_LAG=1m",
			"AUTH_DATABASE_MAX_CONNS=7", "AUTH_DATABASE_MIN_CONNS=6", "AUTH_DATABASE_MAX_CONN_LIFETIME=7s", "AUTH_DATABASE_MAX_CONN_IDLE_TIME=8s",
			"AUTH_DATABASE_CONNECT_TIMEOUT=9s", "AUTH_DATABASE_ACQUIRE_TIMEOUT=12s", "AUTH_DATABASE_SILENCE_TIMEOUT=13s",
			"AUTH_DATABASE_STATEMENT_TIMEOUT=11s", "AUTH_DATABASE_LOCK_TIMEOUT=10s", "AUTH_DATABASE_MIGRATE=false",
			"AUTH_ENCRYPTION_KEY=" + goodKey, "AUTH_PASSWORD_PEPPER=" + goodPepper, "AUTH_PASSWORD_PEPPER_PREVIOUS=" + olderPepper,
			"AUTH_BCRYPT_COST=4", "AUTH_BCRYPT_CONCURRENCY=5", "AUTH_BCRYPT_QUEUE=6", "AUTH_REQUIRE_EMAIL_VERIFICATION=true",
			"AUTH_ACCESS_TOKEN_TTL=1m", "AUTH_REFRESH_TOKEN_TTL=2m", "AUTH_REFRESH_GRACE=3s", "AUTH_SESSION_TTL=4m", "AUTH_MAX_SESSIONS=7",
			"AUTH_JWT_ALGORITHM=RS256", "AUTH_JWT_ISSUER=https://issuer.example.com", "AUTH_JWT_AUDIENCE=product", "AUTH_JWT_KEY_ROTATION=1h",
			"AUTH_RESET_LINK_TTL=1m", "AUTH_VERIFICATION_LINK_TTL=2m", "AUTH_INVITATION_TTL=3m",
			"AUTH_RATE_LIMIT_ENABLED=false", "AUTH_LIMIT_LOGIN_ADDRESS=1/1s", "AUTH_LIMIT_LOGIN_PAIR=2/2s", "AUTH_LIMIT_LOGIN_ACCOUNT=3/3s",
			"AUTH_LIMIT_LOGIN_UNDER_ATTACK=4/4s", "AUTH_LIMIT_REGISTER=5/5s", "AUTH_LIMIT_MAIL_ADDRESS=6/6s", "AUTH_LIMIT_MAIL_ACCOUNT=7/7s",
			"AUTH_LIMIT_LINK=8/8s", "AUTH_LIMIT_REFRESH=9/9s", "AUTH_LIMIT_CONFIRM=10/10s",
			"AUTH_SMTP_HOST=mail.example.com", "AUTH_SMTP_PORT=465", "AUTH_SMTP_USERNAME=me", "AUTH_SMTP_PASSWORD=hunter2", "AUTH_SMTP_TLS=tls",
			"AUTH_SMTP_FROM=Example <no-reply@example.com>", "AUTH_SMTP_CA_FILE=/etc/ca.pem",
			"AUTH_MAIL_PRODUCT_NAME=Example", "AUTH_MAIL_HOME_URL=https://www.example.com/", "AUTH_MAIL_LOGO_URL=https://example.com/logo.png", "AUTH_MAIL_SUPPORT_ADDRESS=help@example.com",
			"AUTH_MAIL_PRIMARY_COLOR=#123456", "AUTH_MAIL_LOCALE=de", "AUTH_MAIL_LOW_BALANCE=500", "AUTH_MAIL_DISABLED=welcome,low_balance", "AUTH_MAIL_TEMPLATES_DIR=/etc/templates",
			"AUTH_LEDGER_CHECKPOINT_INTERVAL=5m", "AUTH_CREDITS_SCALE=0", "AUTH_LOG_FORMAT=text", "AUTH_LOG_LEVEL=warn,jobs=debug",
			"AUTH_LOGSTASH_ADDR=logs.example.com:5000", "AUTH_LOGSTASH_TLS=true", "AUTH_LOGSTASH_CA_FILE=/etc/ca.pem", "AUTH_LOGSTASH_CERT_FILE=/etc/cert.pem",
			"AUTH_LOGSTASH_KEY_FILE=/etc/key.pem", "AUTH_LOGSTASH_QUEUE_MB=1", "AUTH_LOGSTASH_RECEIPT=false",
		}
		require.Len(t, set, len(names()), "a setting without a test")
		require.Empty(t, diff(Config{
			DatabaseURL: NewSecret(goodURL), EncryptionKey: NewSecret(goodKey), PasswordPepper: NewSecret(goodPepper), PasswordPepperPrevious: NewSecret(olderPepper),
			Env: Staging, PublicURL: "https://auth.example.com", FrontendURL: "https://www.example.com/app/",
			TrustedProxies: Networks{netip.MustParsePrefix("10.0.0.0/8")},
			CORSOrigins:    Origins{"https://app.example.com", "https://*.example.com:8443", "http://localhost:3000"},
			HTTP: HTTP{
				Addr: "127.0.0.1:1", ReadHeaderTimeout: 1 * time.Second, ReadTimeout: 2 * time.Second, WriteTimeout: 40 * time.Second,
				IdleTimeout: 4 * time.Second, RequestTimeout: 20 * time.Second, ShutdownTimeout: 6 * time.Second,
				DrainDelay: new(7 * time.Second), TLSCertFile: "/etc/tls.crt", TLSKeyFile: "/etc/tls.key",
			},
			Ops: Ops{Addr: "[::1]:2"},
			Database: Database{
				Pooler: "transaction", ReplicaURL: NewSecret("postgres://standby"), ReplicaMaxLag: time.Minute, MaxConns: 7, MinConns: 6, MaxConnLifetime: 7 * time.Second, MaxConnIdleTime: 8 * time.Second,
				ConnectTimeout: 9 * time.Second, AcquireTimeout: 12 * time.Second, SilenceTimeout: 13 * time.Second, StatementTimeout: 11 * time.Second, LockTimeout: 10 * time.Second,
			},
			BcryptCost: 4, BcryptConcurrency: 5, BcryptQueue: 6, RequireEmailVerification: true,
			AccessTokenTTL: time.Minute, RefreshTokenTTL: 2 * time.Minute, RefreshGrace: 3 * time.Second, SessionTTL: 4 * time.Minute, MaxSessions: 7,
			JWT:          JWT{Algorithm: "RS256", Issuer: "https://issuer.example.com", Audience: "product", KeyRotation: time.Hour},
			ResetLinkTTL: time.Minute, VerificationLinkTTL: 2 * time.Minute, InvitationTTL: 3 * time.Minute,
			Limit: Limits{
				LoginAddress: Rate{1, time.Second}, LoginPair: Rate{2, 2 * time.Second}, LoginAccount: Rate{3, 3 * time.Second},
				LoginUnderAttack: Rate{4, 4 * time.Second}, Register: Rate{5, 5 * time.Second}, MailAddress: Rate{6, 6 * time.Second}, MailAccount: Rate{7, 7 * time.Second},
				Link: Rate{8, 8 * time.Second}, Refresh: Rate{9, 9 * time.Second}, Confirm: Rate{10, 10 * time.Second},
			},
			SMTP: SMTP{
				Host: "mail.example.com", Port: 465, Username: "me", Password: NewSecret("hunter2"), TLS: "tls",
				From: "Example <no-reply@example.com>", CAFile: "/etc/ca.pem",
			},
			Mail: Mail{
				ProductName: "Example", HomeURL: "https://www.example.com/", LogoURL: "https://example.com/logo.png", SupportAddress: "help@example.com", PrimaryColor: "#123456",
				Locale: "de", LowBalance: 500, Disabled: []string{"welcome", "low_balance"}, TemplatesDir: "/etc/templates",
			},
			Ledger:   Ledger{CheckpointInterval: 5 * time.Minute},
			Log:      Log{Format: "text", Level: "warn,jobs=debug"},
			Logstash: Logstash{Addr: "logs.example.com:5000", TLS: true, CAFile: "/etc/ca.pem", CertFile: "/etc/cert.pem", KeyFile: "/etc/key.pem", QueueMB: 1},
		}, load(t, set...)))
	})
	t.Run("Development", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, Log{Format: "text", Level: "debug"}, load(t, "AUTH_ENV=development").Log)
		require.Zero(t, *load(t, "AUTH_ENV=development").HTTP.DrainDelay)
		require.Zero(t, *load(t, "AUTH_HTTP_DRAIN_DELAY=0s").HTTP.DrainDelay)
		require.Equal(t, Log{Format: "json", Level: "error"}, load(t, "AUTH_ENV=development", "AUTH_LOG_FORMAT=json", "AUTH_LOG_LEVEL=error").Log)
	})
	t.Run("EmptyIsUnset", func(t *testing.T) {
		t.Parallel()
		empty := []string{"AUTH_TYPO="}
		for _, name := range slices.Concat(names(), devOnly) {
			if name != "AUTH_ENCRYPTION_KEY" {
				empty = append(empty, name+"=")
			}
		}
		require.Empty(t, diff(defaults(), load(t, empty...)))

		_, err := Load([]string{"DATABASE_URL=", "AUTH_ENCRYPTION_KEY="})
		require.Equal(t, []string{
			"DATABASE_URL: is required: postgres://user:password@host:5432/database",
			"AUTH_ENCRYPTION_KEY: is required: 32 random bytes in base64 or hexadecimal: openssl rand -base64 32",
		}, lines(err))
	})
	t.Run("LastEntryCounts", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "two", load(t, "AUTH_JWT_AUDIENCE=one", "AUTH_JWT_AUDIENCE=two").JWT.Audience)
		require.Equal(t, "one", load(t, "AUTH_JWT_AUDIENCE=one", "AUTH_JWT_AUDIENCE=").JWT.Audience, "an empty one hides nothing")
	})
	t.Run("ListsAreTrimmed", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, []string{"welcome", "low_balance"}, load(t, "AUTH_MAIL_DISABLED= welcome , low_balance").Mail.Disabled)
	})
	t.Run("ValuesMayHoldAnything", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, " a=b; 'c' $D ", load(t, "AUTH_JWT_AUDIENCE= a=b; 'c' $D ").JWT.Audience)
	})
}

func TestConfig_Load_Misspelt(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"AUTH_LOG_LEVELS", "AUTH_DATABASE_URL", "AUTH_", "AUTH_HTTP", "AUTH_http_addr", "AUTH_JWT_ALGORITHM ", "AUTH_HTTP_ADDR_"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(environ(name + "=hunter2"))
			require.Equal(t, []string{name + ": there is no such setting; .env.example lists them"}, lines(err))
		})
	}
	t.Run("AllAreNamed", func(t *testing.T) {
		t.Parallel()
		_, err := Load(environ("AUTH_A=1", "AUTH_B=2"))
		require.Len(t, lines(err), 2)
		require.ErrorContains(t, err, "AUTH_A: ")
		require.ErrorContains(t, err, "AUTH_B: ")
	})
	t.Run("OthersAreNotOurs", func(t *testing.T) {
		t.Parallel()
		load(t, "AUTHOR=x", "auth_env=x", "MY_AUTH_ENV=x", "AUTHX_Y=1", "DATABASE_URLS=x", "=C:=x", "")
	})
}

// Two services in one process, as in tests, each get their own settings.
func TestConfig_Load_Concurrently(t *testing.T) {
	t.Parallel()
	const n = 50
	got, errs := make([]Config, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if i%2 == 0 {
				got[i], errs[i] = Load(environ("AUTH_JWT_AUDIENCE=even", "AUTH_CREDITS_SCALE=0"))
			} else {
				got[i], errs[i] = Load(environ("AUTH_PUBLIC_URL=https://odd.example.com"))
			}
		})
	}
	wg.Wait()
	even, odd := defaults(), defaults()
	even.JWT.Audience, even.CreditsScale = "even", 0
	odd.PublicURL, odd.JWT.Issuer = "https://odd.example.com", "https://odd.example.com"
	for i := range n {
		require.NoError(t, errs[i])
		require.Empty(t, diff([]Config{even, odd}[i%2], got[i]))
	}
}

func TestConfig_WithPublicURL(t *testing.T) {
	t.Parallel()
	const listened = "http://127.0.0.1:1234"
	before := load(t)
	want := before
	want.PublicURL, want.JWT.Issuer = listened, listened
	require.Empty(t, diff(want, before.WithPublicURL(listened)), "what followed the old one follows the new one")
	require.Empty(t, diff(defaults(), before), "the receiver is left alone")

	c := load(t, "AUTH_JWT_ISSUER=https://issuer.example.com", "AUTH_FRONTEND_URL=https://www.example.com").WithPublicURL(listened)
	require.Equal(t, listened, c.PublicURL)
	require.Equal(t, "https://issuer.example.com", c.JWT.Issuer)
	require.Equal(t, "https://www.example.com/{page}#token={token}", c.LinkPattern())
	c = before.WithPublicURL(listened)
	require.Equal(t, listened+"/{page}#token={token}", c.LinkPattern())
}
