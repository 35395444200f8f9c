package pgdb_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgtest"
)

func TestOpen_UUIDs(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool
	one, two := uuid.New(), uuid.New()
	for _, format := range []int16{pgx.BinaryFormatCode, pgx.TextFormatCode} {
		var (
			id        uuid.UUID
			some, nul *uuid.UUID
			all       []uuid.UUID
			text      string
		)
		formats := pgx.QueryResultFormats{format}
		err := pool.QueryRow(t.Context(), "SELECT $1::uuid, $2::uuid, $3::uuid, $4::uuid[] || $1::uuid, $1::uuid::text", formats, one, &two, nul, []uuid.UUID{two}).
			Scan(&id, &some, &nul, &all, &text)
		require.NoError(t, err)
		require.Equal(t, one, id)
		require.Equal(t, &two, some)
		require.Nil(t, nul)
		require.Equal(t, []uuid.UUID{two, one}, all)
		require.Equal(t, one.String(), text)

		require.NoError(t, pool.QueryRow(t.Context(), "SELECT $1::uuid::text", formats, two.String()).Scan(&text))
		require.Equal(t, two.String(), text)
	}
}

// UUIDs are in every row of every table: they are worth reading without detours.
func TestOpen_UUIDsAreBytes(t *testing.T) { //nolint:paralleltest // counts allocations
	conn, err := pgtest.New(t).Pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	m, want := conn.Conn().TypeMap(), uuid.New()

	var got uuid.UUID
	require.Zero(t, testing.AllocsPerRun(100, func() {
		require.NoError(t, m.Scan(pgtype.UUIDOID, pgtype.BinaryFormatCode, want[:], &got))
	}))
	require.Equal(t, want, got)

	value, buf := any(want), make([]byte, 0, 16)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		buf, err = m.Encode(pgtype.UUIDOID, pgtype.BinaryFormatCode, value, buf[:0])
	}))
	require.NoError(t, err)
	require.Equal(t, want[:], buf)
}
