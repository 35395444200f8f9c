//go:build faults

package ordeal

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// querier is a connection, or a transaction that will be rolled back.
type querier interface {
	Query(ctx context.Context, sql string, arguments ...any) (pgx.Rows, error)
}

// readBooks reads what the database holds.
func readBooks(ctx context.Context, db querier) (b books, err error) {
	b.balances = map[uuid.UUID]balance{}
	var e entry
	err = each(ctx, db, `SELECT id, user_id, sequence, amount, balance_after, type, coalesce(idempotency_key, '') FROM credit_transactions`,
		[]any{&e.id, &e.user, &e.sequence, &e.amount, &e.after, &e.kind, &e.key}, func() { b.entries = append(b.entries, e) })
	if err != nil {
		return b, err
	}
	var v event
	err = each(ctx, db, `SELECT user_id, hold_id, number, type, amount - captured, coalesce(idempotency_key, '') FROM credit_hold_events`,
		[]any{&v.user, &v.hold, &v.number, &v.kind, &v.left, &v.key}, func() { b.events = append(b.events, v) })
	if err != nil {
		return b, err
	}
	var user uuid.UUID
	var now balance
	err = each(ctx, db, `SELECT user_id, balance, held, sequence FROM credit_accounts`,
		[]any{&user, &now.Balance, &now.Held, &now.Sequence}, func() { b.balances[user] = now })
	return b, err
}

func each(ctx context.Context, db querier, sql string, scans []any, f func()) error {
	rows, err := db.Query(ctx, sql)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, scans, func() error { f(); return nil })
	return err
}
