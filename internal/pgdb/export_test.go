package pgdb

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Unconnected is a pool that reaches for nothing.
func Unconnected(url string) (*pgxpool.Pool, error) { return pgxpool.New(context.Background(), url) }
