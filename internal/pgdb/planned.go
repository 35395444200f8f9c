package pgdb

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/dbgen"
)

// Planned has PostgreSQL plan a query for the filters that are given. From the
// sixth time on it would take a plan that fits any, and so reads everything.
type Planned struct{ dbgen.DBTX }

// Query implements dbgen.DBTX.
func (p Planned) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return p.DBTX.Query(ctx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
}
