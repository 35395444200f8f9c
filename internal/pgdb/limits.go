package pgdb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// limits are those that PostgreSQL keeps for us, by the names of its settings.
func (o PoolOptions) limits() map[string]time.Duration {
	return map[string]time.Duration{
		"statement_timeout":                   o.StatementTimeout,
		"lock_timeout":                        o.LockTimeout,
		"idle_in_transaction_session_timeout": 2 * o.StatementTimeout,
	}
}

// checkLimits asks whether they hold. A pooler does not pass them on, or is told
// to ignore them, and then it is the role that has to bring them along.
func (o PoolOptions) checkLimits(ctx context.Context, pool *pgxpool.Pool) error {
	limits := o.limits()
	rows, err := pool.Query(ctx, "SELECT name, setting::bigint, quote_ident(current_user) FROM pg_settings WHERE name = ANY($1)", slices.Collect(maps.Keys(limits)))
	if err != nil {
		return fmt.Errorf("asking the database for its time limits: %w", err)
	}
	var (
		name, role string
		found      int64 // in milliseconds, 0 for none
		remedies   []string
	)
	_, err = pgx.ForEachRow(rows, []any{&name, &found, &role}, func() error {
		if want := limits[name].Milliseconds(); want > 0 && (found == 0 || found > want) {
			remedies = append(remedies, fmt.Sprintf("ALTER ROLE %s SET %s = %d;", role, name, want))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("asking the database for its time limits: %w", err)
	}
	if len(remedies) > 0 {
		slices.Sort(remedies)
		return errors.New("time limits do not reach the database, probably because of a pooler; let the role bring them along, and the pooler reconnect: " + strings.Join(remedies, " "))
	}
	return nil
}
