package identity

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// Secrets are stored as hashes only: whoever reads the database can use none.
func TestIdentity_SecretsAreNotStored(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Passwords.Pepper = somePepper })
	admin := b.admin(t)
	first := b.register(t, ada)
	second := b.refresh(t, first.RefreshToken)
	_, key := b.createKey(t)
	_, err := b.AuthenticateKey(t.Context(), key)
	require.NoError(t, err)

	secrets := map[string][]byte{
		"password":                    []byte(rightPassword),
		"pre-hashed password":         b.hasher.prehash(rightPassword),
		"pepper":                      somePepper,
		"successor key":               b.o.RefreshKey,
		"API key":                     []byte(key),
		"API key's secret":            []byte(key[len(key)-64:]),
		"API key's secret, its bytes": decoded(t, hex.DecodeString, key[len(key)-64:]),
	}
	for name, s := range map[string]Session{"admin's": admin, "first": first, "second": second} {
		secret := strings.TrimPrefix(s.RefreshToken, refreshPrefix)
		secrets[name+" refresh token"] = []byte(secret)
		secrets[name+" refresh token's bytes"] = decoded(t, base64.RawURLEncoding.DecodeString, secret)
		secrets[name+" access token"] = []byte(s.AccessToken)
		secrets[name+" access token's signature"] = []byte(s.AccessToken[strings.LastIndexByte(s.AccessToken, '.')+1:])
	}

	cells := b.cells(t)
	// The search finds what is there, in text, in binary, in an array and in JSON.
	for _, there := range [][]byte{[]byte(ada), hashToken(second.RefreshToken), []byte("credits:debit"), []byte(hashScheme)} {
		require.NotEmpty(t, cells.holding(there), "%q", there)
	}
	for name, secret := range secrets {
		for form, needle := range forms(secret) {
			require.Empty(t, cells.holding(needle), "%s, %s", name, form)
		}
	}
}

func decoded(t *testing.T, decode func(string) ([]byte, error), text string) []byte {
	t.Helper()
	b, err := decode(text)
	require.NoError(t, err)
	return b
}

// forms are the ways in which a secret may have been written down. Ends of
// base64 are left out: they depend on what stands behind.
func forms(secret []byte) map[string][]byte {
	whole := secret[:len(secret)/3*3]
	return map[string][]byte{
		"plain":     secret,
		"hex":       []byte(hex.EncodeToString(secret)),
		"HEX":       []byte(strings.ToUpper(hex.EncodeToString(secret))),
		"base64":    []byte(base64.RawStdEncoding.EncodeToString(whole)),
		"base64url": []byte(base64.RawURLEncoding.EncodeToString(whole)),
	}
}

// cells is everything in the database, by table and column.
type cells map[string][][]byte

func (c cells) holding(needle []byte) (columns []string) {
	for column, values := range c {
		for _, value := range values {
			if bytes.Contains(value, needle) {
				columns = append(columns, column)
			}
		}
	}
	return columns
}

// cells reads the whole database, bytea as it is and all else as text.
func (b *bundle) cells(t *testing.T) cells {
	t.Helper()
	owner := b.db.Owner(t)
	rows, err := owner.Query(t.Context(), `
		SELECT table_name::text, column_name::text, data_type::text
		FROM information_schema.columns WHERE table_schema = 'public'`)
	require.NoError(t, err)
	type column struct{ Table, Name, Type string }
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	require.NoError(t, err)
	require.NotEmpty(t, columns)

	found := cells{}
	for _, c := range columns {
		name := pgx.Identifier{c.Name}.Sanitize()
		if c.Type != "bytea" {
			name = fmt.Sprintf("convert_to(%s::text, 'UTF8')", name)
		}
		rows, err := owner.Query(t.Context(), fmt.Sprintf("SELECT coalesce(%s, '') FROM %s", name, pgx.Identifier{c.Table}.Sanitize()))
		require.NoError(t, err)
		values, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
		require.NoError(t, err)
		found[c.Table+"."+c.Name] = values
	}
	return found
}
