package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Values that cannot be read, that are not allowed, and names that do not exist
// are reported together, each once.
func TestConfig_EverythingAtOnce(t *testing.T) {
	t.Parallel()
	_, err := Load([]string{
		"AUTH_ACCESS_TOKEN_TTL=soon", "AUTH_REFRESH_GRACE=x", "AUTH_BCRYPT_COST=many", "AUTH_ENV=moon",
		"AUTH_ENCRYPTION_KEY=file:/nowhere", "AUTH_TYPO=1",
	})
	require.Error(t, err)
	var names []string
	for _, line := range lines(err) {
		name, _, _ := strings.Cut(line, ":")
		names = append(names, name)
	}
	require.ElementsMatch(t, []string{
		"AUTH_ACCESS_TOKEN_TTL", "AUTH_REFRESH_GRACE", "AUTH_BCRYPT_COST", "AUTH_ENV", "AUTH_ENCRYPTION_KEY", "AUTH_TYPO", "DATABASE_URL",
	}, names)
}

func TestConfig_VerificationIsNotIgnored(t *testing.T) {
	t.Parallel()
	_, err := Load(environ("AUTH_REQUIRE_EMAIL_VERIFICATION=true"))
	require.Equal(t, []string{"AUTH_REQUIRE_EMAIL_VERIFICATION: needs AUTH_SMTP_HOST"}, lines(err))
	load(t, "AUTH_REQUIRE_EMAIL_VERIFICATION=false")
	require.True(t, load(t, "AUTH_REQUIRE_EMAIL_VERIFICATION=true", "AUTH_SMTP_HOST=mail.example.com", "AUTH_SMTP_FROM=no-reply@example.com").RequireEmailVerification)
}

// What the process was started with may hold empty variables, as compose files write them.
func TestConfig_EmptyInTheProcess(t *testing.T) { //nolint:paralleltest // sets variables of the process
	for _, name := range []string{"AUTH_ENV", "AUTH_HTTP_READ_TIMEOUT", "AUTH_TYPO", "AUTH_PASSWORD_PEPPER"} {
		t.Setenv(name, "")
	}
	require.Empty(t, diff(defaults(), load(t)))
}

func TestSecret_HiddenFromEveryVerb(t *testing.T) {
	t.Parallel()
	inside := struct{ s Secret }{NewSecret("hunter2")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%t"} {
		for _, value := range []any{NewSecret("hunter2"), &inside.s, inside, []Secret{inside.s}} {
			printed := fmt.Sprintf(verb, value)
			require.NotContains(t, printed, "hunter2", verb)
			require.NotContains(t, printed, fmt.Sprintf("%x", "hunter2"), verb)
		}
	}
}
