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

	HTTP     HTTP
	Ops      Ops
	Database Database

	EncryptionKey  Secret `split_words:"true" desc:"32 random bytes in base64 or hexadecimal, under which stored secrets are encrypted: openssl rand -base64 32"`
	PasswordPepper Secret `split_words:"true" desc:"optional secret of at least 32 characters that enters every password hash; passwords cannot be checked without it"`
	BcryptCost     int    `split_words:"true" default:"12" desc:"cost of password hashes; at least 10 in production"`

	AccessTokenTTL  time.Duration `split_words:"true" default:"15m" desc:"how long an access token lasts"`
	RefreshTokenTTL time.Duration `split_words:"true" default:"720h" desc:"how long a refresh token waits to be exchanged"`
	RefreshGrace    time.Duration `split_words:"true" default:"30s" desc:"how long the exchange of a refresh token may be repeated"`
	SessionTTL      time.Duration `split_words:"true" default:"2160h" desc:"when a session ends, however often it is refreshed"`
	JWT             JWT

	CreditsScale int `split_words:"true" default:"2" desc:"how many decimals of a credit people read; amounts are in the smallest unit"`

	Log Log
}

// HTTP is the public listener.
type HTTP struct {
	Addr              string        `default:":8080" desc:"address to listen on"`
	ReadHeaderTimeout time.Duration `split_words:"true" default:"5s" desc:"for reading a request's headers"`
	ReadTimeout       time.Duration `split_words:"true" default:"15s" desc:"for reading a request"`
	WriteTimeout      time.Duration `split_words:"true" default:"30s" desc:"for answering it"`
	IdleTimeout       time.Duration `split_words:"true" default:"60s" desc:"how long an idle connection is kept"`
	RequestTimeout    time.Duration `split_words:"true" default:"10s" desc:"for working on a request"`
	ShutdownTimeout   time.Duration `split_words:"true" default:"20s" desc:"for finishing requests when the process is asked to stop"`
}

// Ops is the operations listener.
type Ops struct {
	Addr string `default:"127.0.0.1:9090" desc:"address of metrics and profiles; keep it private"`
}

// Database is the pool of connections to PostgreSQL.
type Database struct {
	MaxConns         int32         `split_words:"true" default:"16" desc:"most connections of this process"`
	MinConns         int32         `split_words:"true" default:"2" desc:"connections kept open"`
	MaxConnLifetime  time.Duration `split_words:"true" default:"1h" desc:"age at which a connection is replaced"`
	MaxConnIdleTime  time.Duration `split_words:"true" default:"10m" desc:"how long an idle connection is kept"`
	ConnectTimeout   time.Duration `split_words:"true" default:"5s" desc:"for opening a connection"`
	StatementTimeout time.Duration `split_words:"true" default:"8s" desc:"for one statement; below AUTH_HTTP_REQUEST_TIMEOUT"`
	LockTimeout      time.Duration `split_words:"true" default:"4s" desc:"for waiting for a lock; below AUTH_DATABASE_STATEMENT_TIMEOUT"`
	Migrate          bool          `default:"true" desc:"whether serve applies pending migrations at start, if DATABASE_URL may"`
}

// JWT is what access tokens say.
type JWT struct {
	Algorithm string `default:"EdDSA" desc:"EdDSA, ES256, RS256, or HS256 (a shared secret: others cannot verify)"`
	Issuer    string `desc:"the iss of tokens; AUTH_PUBLIC_URL if empty"`
	Audience  string `default:"authservice" desc:"the aud of tokens"`
}

// Log is what is logged and how.
type Log struct {
	Format string `desc:"text or json; text in development, else json"`
	Level  string `desc:"debug, info, warn or error; debug in development, else info"`
}
