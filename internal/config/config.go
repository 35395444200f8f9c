package config

import (
	"time"
)

// Environments.
const (
	Development = "development"
	Staging     = "staging"
	Production  = "production"
)

// Config is all settings. Names are formed from the fields: HTTP.ReadTimeout is
// AUTH_HTTP_READ_TIMEOUT. Durations are Go durations such as 15m or 720h.
type Config struct {
	// DatabaseURL is read from DATABASE_URL, without the prefix, as everywhere.
	DatabaseURL Secret `ignored:"true"`

	Env       string `default:"production" desc:"development, staging or production; production is the strictest"`
	PublicURL string `split_words:"true" default:"http://localhost:8080" desc:"where people reach the service; the default issuer of tokens"`
	// FrontendURL is used by way of LinkPattern.
	FrontendURL string `split_words:"true" desc:"where your product has pages of its own for mailed links, such as https://app.example.com or https://app.example.com/account/{page}#token={token}; AUTH_PUBLIC_URL if empty"`
	// TrustedProxies are addresses or networks.
	TrustedProxies Networks `split_words:"true" desc:"comma-separated addresses or networks (10.0.0.0/8) of the proxies in front of the service, whose X-Forwarded-For tells the client's address; nobody's if empty"`

	// CORSOrigins are exact, or have * for any subdomains.
	CORSOrigins Origins `split_words:"true" desc:"comma-separated origins whose pages may call the API from browsers, such as https://app.example.com, or https://*.example.com for all subdomains; none if empty"`

	HTTP     HTTP
	Ops      Ops
	Database Database

	EncryptionKey  Secret `split_words:"true" desc:"32 random bytes in base64 or hexadecimal, under which stored secrets are encrypted: openssl rand -base64 32"`
	PasswordPepper Secret `split_words:"true" desc:"optional secret of at least 32 characters that enters every password hash; passwords cannot be checked without it"`
	// PreviousPeppers are separated by commas.
	PasswordPepperPrevious Secret `split_words:"true" desc:"comma-separated peppers of before: passwords under them still match and move to AUTH_PASSWORD_PEPPER at the next login"`
	BcryptCost             int    `split_words:"true" default:"12" desc:"cost of password hashes; at least 10 in production"`
	BcryptConcurrency      int    `split_words:"true" default:"0" desc:"how many passwords are hashed at once; 0 for as many as there are CPUs. They are hashed by a process of low priority, so that a flood of logins leaves the CPUs to everything else"`
	BcryptQueue            int    `split_words:"true" default:"32" desc:"how many more may wait to be hashed; beyond it the answer is 503"`

	RequireEmailVerification bool `split_words:"true" default:"false" desc:"whether an address must be verified before the first login; needs AUTH_SMTP_HOST"`

	AccessTokenTTL  time.Duration `split_words:"true" default:"15m" desc:"how long an access token lasts"`
	RefreshTokenTTL time.Duration `split_words:"true" default:"720h" desc:"how long a refresh token waits to be exchanged"`
	RefreshGrace    time.Duration `split_words:"true" default:"30s" desc:"how long the exchange of a refresh token may be repeated"`
	SessionTTL      time.Duration `split_words:"true" default:"2160h" desc:"when a session ends, however often it is refreshed"`
	MaxSessions     int           `split_words:"true" default:"20" desc:"most sessions of one user; with another one the oldest ends"`
	JWT             JWT

	ResetLinkTTL        time.Duration `split_words:"true" default:"30m" desc:"how long a mailed link to set a new password works"`
	VerificationLinkTTL time.Duration `split_words:"true" default:"24h" desc:"how long a mailed link to verify an address works"`
	InvitationTTL       time.Duration `split_words:"true" default:"168h" desc:"how long an invitation works"`

	RateLimitEnabled bool `split_words:"true" default:"true" desc:"whether attempts are limited; false is for load tests"`
	Limit            Limits

	SMTP SMTP
	Mail Mail

	Ledger Ledger

	CreditsScale int `split_words:"true" default:"2" desc:"how many decimals of a credit people read; amounts are in the smallest unit"`

	Log      Log
	Logstash Logstash
}

// HTTP is the public listener.
type HTTP struct {
	Addr              string         `default:":8080" desc:"address to listen on"`
	ReadHeaderTimeout time.Duration  `split_words:"true" default:"5s" desc:"for reading a request's headers"`
	ReadTimeout       time.Duration  `split_words:"true" default:"15s" desc:"for reading a request"`
	WriteTimeout      time.Duration  `split_words:"true" default:"30s" desc:"for answering it"`
	IdleTimeout       time.Duration  `split_words:"true" default:"60s" desc:"how long an idle connection is kept"`
	RequestTimeout    time.Duration  `split_words:"true" default:"10s" desc:"for working on a request"`
	DrainDelay        *time.Duration `split_words:"true" desc:"how long the service still takes requests after it was asked to stop and says that it is not ready, so that load balancers have the time to hear it; 0s in development, else 5s"`
	ShutdownTimeout   time.Duration  `split_words:"true" default:"20s" desc:"for finishing requests and jobs after that"`
	TLSCertFile       string         `split_words:"true" desc:"file with the certificate and its chain (PEM), to serve HTTPS and HTTP/2; read again when it changes"`
	TLSKeyFile        string         `split_words:"true" desc:"file with its private key (PEM)"`
}

// Ops is the operations listener.
type Ops struct {
	Addr string `default:"127.0.0.1:9090" desc:"address of metrics and profiles; keep it private"`
}

// What stands between the service and PostgreSQL.
const (
	PoolerNone        = "none"
	PoolerTransaction = "transaction"
)

// Database is the pool of connections to PostgreSQL.
type Database struct {
	Pooler           string        `default:"none" desc:"transaction where DATABASE_URL leads to a pooler that gives every transaction another connection, such as PgBouncer with pool_mode = transaction; none for PostgreSQL itself, or a pooler in session mode"`
	ReplicaURL       Secret        `split_words:"true" desc:"a standby of the database, for lists, histories, statements, audit events and exports; nothing that is decided on is read there; none if empty"`
	ReplicaMaxLag    time.Duration `split_words:"true" default:"5s" desc:"how much may be missing there; a standby that is later, or away, is passed over"`
	MaxConns         int32         `split_words:"true" default:"16" desc:"most connections of this process, beside two that listen and watch"`
	MinConns         int32         `split_words:"true" default:"2" desc:"connections kept open"`
	MaxConnLifetime  time.Duration `split_words:"true" default:"1h" desc:"age at which a connection is replaced"`
	MaxConnIdleTime  time.Duration `split_words:"true" default:"10m" desc:"how long an idle connection is kept"`
	ConnectTimeout   time.Duration `split_words:"true" default:"5s" desc:"for opening a connection"`
	AcquireTimeout   time.Duration `split_words:"true" default:"4s" desc:"for waiting for a free connection; below AUTH_HTTP_REQUEST_TIMEOUT"`
	SilenceTimeout   time.Duration `split_words:"true" default:"3s" desc:"when a database that says nothing at all counts as gone: its connections are closed, and the answer is 503 until it is back; below AUTH_HTTP_REQUEST_TIMEOUT; behind a pooler AUTH_DATABASE_LOCK_TIMEOUT is added"`
	StatementTimeout time.Duration `split_words:"true" default:"8s" desc:"for one statement; below AUTH_HTTP_REQUEST_TIMEOUT"`
	LockTimeout      time.Duration `split_words:"true" default:"4s" desc:"for waiting for a lock; below AUTH_DATABASE_STATEMENT_TIMEOUT"`
	Migrate          bool          `default:"true" desc:"whether serve applies pending migrations at start, if DATABASE_URL may"`
}

// JWT is what access tokens say.
type JWT struct {
	Algorithm string `default:"EdDSA" desc:"EdDSA, ES256, RS256, or HS256 (a shared secret: others cannot verify)"`
	Issuer    string `desc:"the iss of tokens; AUTH_PUBLIC_URL if empty"`
	Audience  string `default:"authservice" desc:"the aud of tokens"`
	// KeyRotation is how old a signing key gets.
	KeyRotation time.Duration `split_words:"true" default:"720h" desc:"age at which the key that signs tokens is replaced"`
}

// Limits are how often something may be tried: so many at once, and as many
// again, evenly, in each time span. Addresses are client addresses, of IPv6 the
// /64. All replicas count together.
type Limits struct {
	LoginAddress     Rate `split_words:"true" default:"100/15m" desc:"logins from one address"`
	LoginPair        Rate `split_words:"true" default:"10/15m" desc:"logins to one account from one address"`
	LoginAccount     Rate `split_words:"true" default:"50/15m" desc:"logins to one account from everywhere; beyond it AUTH_LIMIT_LOGIN_UNDER_ATTACK holds, nobody is locked out"`
	LoginUnderAttack Rate `split_words:"true" default:"3/15m" desc:"logins to one account from one address while the account is under attack"`
	Register         Rate `default:"100/1h" desc:"registrations from one address"`
	MailAddress      Rate `split_words:"true" default:"30/1h" desc:"requests from one address that send a mail: forgot, resend, a new e-mail address"`
	MailAccount      Rate `split_words:"true" default:"5/1h" desc:"such requests for one mail address"`
	Link             Rate `default:"60/1h" desc:"tokens of mailed links tried from one address: reset, verify"`
	Refresh          Rate `default:"300/1m" desc:"refreshes from one address"`
	Confirm          Rate `default:"10/15m" desc:"passwords that one session is asked for again"`
}

// SMTP is how mail is sent.
type SMTP struct {
	Host     string `desc:"mail server; without one no mail is sent"`
	Port     int    `default:"587" desc:"its port"`
	Username string `desc:"user name, if it wants one"`
	Password Secret `desc:"and password"`
	TLS      string `default:"starttls" desc:"starttls, tls (from the first byte, port 465), or none (not in production, but for a server on this machine)"`
	From     string `desc:"the sender, such as Example <no-reply@example.com>; required with AUTH_SMTP_HOST"`
	CAFile   string `split_words:"true" desc:"file of certificates (PEM) to trust besides the system's"`
}

// Mail is what mails look like.
type Mail struct {
	ProductName    string   `split_words:"true" default:"Auth Service" desc:"your product's name in mails and on pages"`
	HomeURL        string   `split_words:"true" desc:"where your product is, for mails and pages to lead people there"`
	LogoURL        string   `split_words:"true" desc:"picture that stands in mails in place of the name"`
	SupportAddress string   `split_words:"true" desc:"where people get help: an e-mail address"`
	PrimaryColor   string   `split_words:"true" default:"#1d4ed8" desc:"colour of buttons"`
	Locale         string   `default:"en" desc:"language of mails to people who have none: en, de, it, or one that AUTH_MAIL_TEMPLATES_DIR has"`
	LowBalance     int64    `split_words:"true" default:"0" desc:"people are warned when their balance falls below this, in the smallest unit; 0 warns nobody"`
	Disabled       []string `desc:"kinds of mail that are not sent, comma-separated: welcome, new_sign_in, credits_granted, low_balance"`
	TemplatesDir   string   `split_words:"true" desc:"templates that replace the built-in ones, file by file"`
}

// Ledger is how credits are proved.
type Ledger struct {
	CheckpointInterval time.Duration `split_words:"true" default:"1h" desc:"how often the state of all accounts is signed, stored and logged, to be kept outside the database; 0 for never"`
}

// Log is what is logged and how.
type Log struct {
	Format string `desc:"text or json; text in development, else json"`
	// Level is further looked at by package telemetry.
	Level string `desc:"debug, info, warn or error, and, after commas, other levels for single loggers (audit, http, jobs, ledger, river, service, telemetry), such as info,jobs=debug; debug in development, else info"`
}

// Logstash is where log lines are sent besides standard output.
type Logstash struct {
	Addr     string `desc:"host:port of a Logstash, or of another receiver of JSON lines over TCP; without one lines go to standard output only"`
	TLS      bool   `default:"false" desc:"whether the connection is encrypted, and the receiver's certificate checked"`
	CAFile   string `split_words:"true" desc:"file of certificates (PEM) to trust besides the system's"`
	CertFile string `split_words:"true" desc:"file of the certificate (PEM) that shows the receiver who we are, if it asks"`
	KeyFile  string `split_words:"true" desc:"file of its key (PEM)"`
	QueueMB  int    `split_words:"true" default:"16" desc:"megabytes of lines that may wait for the receiver; beyond it they are dropped and counted"`
	Receipt  bool   `default:"true" desc:"whether lines count as received only once the receiver has closed a connection that was closed on this side; false for one that never does"`
}
