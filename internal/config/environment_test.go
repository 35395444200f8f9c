package config

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The process environment is borrowed, and comes back as it was. This test and
// its like change it, so that they cannot run beside others.
func TestConfig_Load_ProcessEnvironment(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://process")
	t.Setenv("AUTH_JWT_AUDIENCE", "process")
	t.Setenv("AUTH_LOG_LEVEL", "process")
	t.Setenv("AUTH_TYPO", "process")
	snapshot := func() []string { all := os.Environ(); slices.Sort(all); return all }
	before := snapshot()

	for name, test := range map[string]struct {
		environ []string
		good    bool
	}{
		"Good":      {environ("AUTH_JWT_AUDIENCE=given", "AUTH_CREDITS_SCALE=0"), true},
		"Invalid":   {environ("AUTH_CREDITS_SCALE=10"), false},
		"Malformed": {environ("AUTH_CREDITS_SCALE=x"), false},
		"Misspelt":  {environ("AUTH_OTHER_TYPO=x"), false},
		"Nothing":   {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Load(test.environ)
			require.Equal(t, before, snapshot())
			if !test.good {
				require.Error(t, err)
				require.NotContains(t, err.Error(), "process")
				require.NotContains(t, err.Error(), "AUTH_TYPO:")
				return
			}
			require.NoError(t, err)
			want := defaults()
			want.JWT.Audience, want.CreditsScale = "given", 0
			require.Empty(t, diff(want, c), "only what was given counts")
		})
	}
}

// Libraries see the settings that were given, and only for as long.
func TestConfig_Apply(t *testing.T) {
	t.Setenv("OTEL_SERVICE_NAME", "process")
	t.Setenv("OTEL_TRACES_SAMPLER", "process")
	Apply([]string{"OTEL_SERVICE_NAME=given"}, func() {
		require.Equal(t, "given", os.Getenv("OTEL_SERVICE_NAME"))
		require.Empty(t, os.Getenv("OTEL_TRACES_SAMPLER"))
	})
	require.Equal(t, "process", os.Getenv("OTEL_SERVICE_NAME"))
	require.Equal(t, "process", os.Getenv("OTEL_TRACES_SAMPLER"))
}
