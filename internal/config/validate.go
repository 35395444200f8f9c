package config

import (
	"encoding/base64"
	"encoding/hex"
	"net"
	"net/mail"
	"slices"
	"strings"
	"time"
)

// exampleSecret stands in .env.example wherever a secret belongs. The service
// does not start with it.
const exampleSecret = "change-me"

// maxCredits is the largest amount of credits, which every client counts exactly.
const maxCredits = 1<<53 - 1

// validate adds everything that is wrong.
func (c *Config) validate(p *problems) {
	must := p.must
	oneOf := func(value, name string, allowed ...string) {
		must(slices.Contains(allowed, value), name, "must be one of "+strings.Join(allowed, ", "))
	}

	oneOf(c.Env, "AUTH_ENV", Development, Staging, Production)
	must(c.DatabaseURL.IsSet(), databaseURL, "must not be empty") // as a file may be
	must(!strings.Contains(c.DatabaseURL.Reveal(), ":"+exampleSecret+"@"), databaseURL, "still has the example's password")

	if public, ok := webURL(c.PublicURL); ok && !strings.ContainsAny(c.PublicURL, "?#") {
		c.mustBeHTTPS(p, public, "AUTH_PUBLIC_URL")
	} else {
		p.add("AUTH_PUBLIC_URL", "must be a URL such as https://auth.example.com")
	}
	c.checkLinks(p)

	c.checkSecrets(p)
	must(c.BcryptCost >= 4 && c.BcryptCost <= 18, "AUTH_BCRYPT_COST", "must be from 4 to 18")
	must(c.BcryptCost >= 10 || c.Env != Production, "AUTH_BCRYPT_COST", "must be at least 10 in production")
	must(c.BcryptConcurrency >= 0 && c.BcryptConcurrency <= 1024, "AUTH_BCRYPT_CONCURRENCY", "must be from 0 to 1024")
	must(c.BcryptQueue >= 1 && c.BcryptQueue <= 10_000, "AUTH_BCRYPT_QUEUE", "must be from 1 to 10000")

	must(c.AccessTokenTTL >= time.Second && c.AccessTokenTTL <= 24*time.Hour, "AUTH_ACCESS_TOKEN_TTL", "must be from 1s to 24h")
	must(c.RefreshTokenTTL > c.AccessTokenTTL, "AUTH_REFRESH_TOKEN_TTL", "must be longer than AUTH_ACCESS_TOKEN_TTL")
	must(c.RefreshGrace >= 0 && c.RefreshGrace <= time.Hour && c.RefreshGrace < c.RefreshTokenTTL, "AUTH_REFRESH_GRACE", "must be from 0s to 1h, and shorter than AUTH_REFRESH_TOKEN_TTL")
	must(c.SessionTTL >= c.RefreshTokenTTL, "AUTH_SESSION_TTL", "must be at least AUTH_REFRESH_TOKEN_TTL")
	oneOf(c.JWT.Algorithm, "AUTH_JWT_ALGORITHM", "EdDSA", "ES256", "RS256", "HS256")
	must(c.MaxSessions >= 1 && c.MaxSessions <= 1000, "AUTH_MAX_SESSIONS", "must be from 1 to 1000")
	must(c.JWT.Audience != "", "AUTH_JWT_AUDIENCE", "must not be empty")
	must(c.JWT.KeyRotation >= time.Hour, "AUTH_JWT_KEY_ROTATION", "must be at least 1h")
	for name, ttl := range map[string]time.Duration{
		"AUTH_RESET_LINK_TTL": c.ResetLinkTTL, "AUTH_VERIFICATION_LINK_TTL": c.VerificationLinkTTL, "AUTH_INVITATION_TTL": c.InvitationTTL,
	} {
		must(ttl >= time.Minute && ttl <= 31*24*time.Hour, name, "must be from 1m to 744h")
	}
	c.checkMail(p)

	must(c.Ledger.CheckpointInterval == 0 || c.Ledger.CheckpointInterval >= time.Minute, "AUTH_LEDGER_CHECKPOINT_INTERVAL", "must be at least 1m, or 0")
	must(c.CreditsScale >= 0 && c.CreditsScale <= 9, "AUTH_CREDITS_SCALE", "must be from 0 to 9")
	oneOf(c.Log.Format, "AUTH_LOG_FORMAT", "text", "json")
	c.checkLogs(p)
	c.checkHTTP(p)
	c.checkDatabase(p)
}

func (c *Config) checkSecrets(p *problems) {
	const howTo = "32 random bytes in base64 or hexadecimal: openssl rand -base64 32"
	if !c.EncryptionKey.IsSet() {
		p.must(false, "AUTH_ENCRYPTION_KEY", "is required: "+howTo)
	} else {
		key, ok := decodeKey(c.EncryptionKey.Reveal())
		p.must(ok, "AUTH_ENCRYPTION_KEY", "must be "+howTo)
		p.must(!ok || varied(key), "AUTH_ENCRYPTION_KEY", "is too regular to be random; it must be "+howTo)
	}
	good := func(pepper string) bool {
		return len(pepper) >= 32 && varied([]byte(pepper)) && !strings.Contains(pepper, exampleSecret)
	}
	if c.PasswordPepper.IsSet() {
		p.must(good(c.PasswordPepper.Reveal()), "AUTH_PASSWORD_PEPPER", "must be a random secret of at least 32 characters")
	}
	for _, pepper := range c.PreviousPeppers() {
		p.must(good(string(pepper)), "AUTH_PASSWORD_PEPPER_PREVIOUS", "must be random secrets of at least 32 characters, separated by commas")
	}
}

// PreviousPeppers are the peppers of before.
func (c *Config) PreviousPeppers() (peppers [][]byte) {
	for _, pepper := range strings.Split(c.PasswordPepperPrevious.Reveal(), ",") {
		if pepper = strings.TrimSpace(pepper); pepper != "" {
			peppers = append(peppers, []byte(pepper))
		}
	}
	return peppers
}

// checkMail leaves to package mailer what only it can tell, such as broken templates.
func (c *Config) checkMail(p *problems) {
	p.must(c.Mail.LowBalance >= 0 && c.Mail.LowBalance <= maxCredits, "AUTH_MAIL_LOW_BALANCE", "must be from 0 to 9007199254740991")
	if c.Mail.HomeURL != "" {
		_, ok := webURL(c.Mail.HomeURL)
		p.must(ok, "AUTH_MAIL_HOME_URL", "must be a URL such as https://www.example.com")
	}
	m := c.SMTP
	p.must(m.Host != "" || !c.RequireEmailVerification, "AUTH_REQUIRE_EMAIL_VERIFICATION", "needs AUTH_SMTP_HOST")
	p.must(slices.Contains([]string{"none", "starttls", "tls"}, m.TLS), "AUTH_SMTP_TLS", "must be one of none, starttls, tls")
	p.must(m.Port >= 1 && m.Port <= 65535, "AUTH_SMTP_PORT", "must be from 1 to 65535")
	if m.Host == "" {
		return
	}
	_, err := mail.ParseAddress(m.From)
	p.must(err == nil, "AUTH_SMTP_FROM", "must be a sender such as Example <no-reply@example.com>")
	p.must(m.TLS != "none" || c.Env != Production || loopback(m.Host), "AUTH_SMTP_TLS", "must not be none in production")
}

// EncryptionKeyBytes is the encryption key as it is used.
func (c *Config) EncryptionKeyBytes() []byte {
	key, _ := decodeKey(c.EncryptionKey.Reveal())
	return key
}

func decodeKey(text string) ([]byte, bool) {
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
		base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if key, err := decode(text); err == nil && len(key) == 32 {
			return key, true
		}
	}
	return nil, false
}

// varied tells random bytes, or their hexadecimal digits, from typed ones: of 32
// of either, fewer than 9 different ones, or fewer than 9 different steps from
// one to the next, are as good as impossible.
func varied(b []byte) bool {
	different := map[byte]bool{}
	for _, c := range b {
		different[c] = true
	}
	steps := map[byte]bool{}
	for i := 1; i < len(b); i++ {
		steps[b[i]-b[i-1]] = true
	}
	return len(different) >= 9 && len(steps) >= 9
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
