package queries_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/queries"
)

func TestNamed(t *testing.T) {
	t.Parallel()
	query, err := queries.Named("SessionUsed") // one of several in its file
	require.NoError(t, err)
	require.Equal(t, "UPDATE sessions SET last_used_at = @now WHERE id = @id", query)

	query, err = queries.Named("RefreshTokenGet") // with comments, and columns of sqlc's
	require.NoError(t, err)
	require.Regexp(t, `(?s)^SELECT t\.expires_at,.* u\.\*\nFROM .*\nWHERE t\.token_hash = @token_hash$`, query)

	query, err = queries.Named("AuditEventInsert") // with arguments that may be null
	require.NoError(t, err)
	require.Contains(t, query, "@ip::inet")
	require.NotContains(t, query, "sqlc.")

	_, err = queries.Named("Session")
	require.EqualError(t, err, "queries: there is no query Session")
}
