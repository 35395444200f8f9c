package faults_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/faults"
)

// A connection that is cut in a commit leaves what was committed, one that is torn
// leaves nothing; in both cases nobody is told.
func TestNetwork_Cut(t *testing.T) {
	t.Parallel()
	pg := faults.StartPostgres(t)
	su := pg.Superuser()
	_, err := su.Exec(t.Context(), "CREATE TABLE kept (text text); GRANT INSERT ON kept TO authservice")
	require.NoError(t, err)
	network := faults.NewNetwork(t, pg.Addr())
	insert := func(text string) error {
		conn, err := pgx.Connect(t.Context(), pg.URL(network.Addr()))
		require.NoError(t, err)
		defer conn.Close(t.Context())
		return pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "INSERT INTO kept VALUES ($1)", text)
			return err
		})
	}
	kept := func() (n int) {
		require.NoError(t, su.QueryRow(t.Context(), "SELECT count(*) FROM kept").Scan(&n))
		return n
	}

	network.CutCommits(2)
	require.NoError(t, insert("the first of two"))
	require.Error(t, insert("the second"))
	require.Equal(t, 2, kept())

	network.Heal()
	network.Tear(1)
	require.Error(t, insert(strings.Repeat("large", 1000)))
	require.Equal(t, 2, kept())

	network.Heal()
	require.NoError(t, insert(strings.Repeat("large", 1000)))
	require.Equal(t, 3, kept())
}
