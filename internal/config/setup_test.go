package config

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
)

const (
	goodURL = "postgres://authservice:x@db.example.com:5432/authservice"
	goodKey = "kUZc9ZxXbr1yVkD3e0aF8wqLmT5oJ2hSg7NiRvPpE4Q=" // 32 random bytes

	goodPepper  = "k3Zq8vRt1Yw6Xn0Bs5Cd9Ef2Gh7Jm4Lp"
	olderPepper = "Qm7Xc2Vb9Nz4Kd1Sf6Gh3Jr8Tp5Wy0La"
)

// environ is what is required, and entries.
func environ(entries ...string) []string {
	return append([]string{"PATH=/bin", "DATABASE_URL=" + goodURL, "AUTH_ENCRYPTION_KEY=" + goodKey}, entries...)
}

// load loads what must be good.
func load(t *testing.T, entries ...string) Config {
	t.Helper()
	c, err := Load(environ(entries...))
	require.NoError(t, err)
	return c
}

// lines are the single complaints of an error.
func lines(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func diff(want, got Config) string {
	return cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{}))
}

func writeFile(t *testing.T, content string) (path string) {
	t.Helper()
	path = t.TempDir() + "/secret"
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}
