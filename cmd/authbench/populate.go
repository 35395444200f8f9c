package main

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/creditledger"
)

// populated are the tables that a population is written to.
var populated = []string{"users", "credit_accounts", "credit_transactions", "credit_grants", "idempotency_keys"}

// bulk is from how many transactions on it is faster to make the indexes anew.
const bulk = 500_000

// writePopulation writes a population into the tables of the service, as a
// whole or not at all. progress is told of rows, and of steps that have no
// number, with 0 for of.
func writePopulation(ctx context.Context, db *pgx.Conn, p *population, progress func(what string, done, of int)) error {
	return writePopulationBy(ctx, db, p, bulk, progress)
}

func writePopulationBy(ctx context.Context, db *pgx.Conn, p *population, bulk int, progress func(what string, done, of int)) error {
	tx, err := db.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	w := populator{ctx: ctx, tx: tx, p: p, progress: progress}
	write := w.write
	if p.transactions() >= bulk {
		write = func() error { return w.withoutIndexes(w.write) }
	}
	if err := write(); err != nil {
		return fmt.Errorf("writing users with a history: %w", err)
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	for _, table := range populated {
		progress("vacuuming "+table, 0, 0)
		if _, err := db.Exec(ctx, "VACUUM (ANALYZE) "+table); err != nil {
			return err
		}
	}
	return nil
}

type populator struct {
	ctx      context.Context
	tx       pgx.Tx
	p        *population
	progress func(what string, done, of int)
}

func (w populator) write() error {
	// Accounts come before their transactions but hold what these add up to, so
	// that the history is played twice.
	accounts := make([]ledgerAccount, w.p.users)
	played := 0
	for range w.p.history(accounts) {
		if played++; played%10_000 == 0 {
			w.progress("transactions thought up", played, w.p.transactions())
		}
		if w.ctx.Err() != nil {
			return w.ctx.Err()
		}
	}
	for _, step := range []func([]ledgerAccount) error{w.users, w.accounts, w.transactions, w.keys, w.grants} {
		if err := step(accounts); err != nil {
			return err
		}
	}
	return nil
}

func (w populator) users([]ledgerAccount) error {
	p := w.p
	columns := []string{"id", "email", "email_verified", "name", "password_hash", "created_at", "updated_at"}
	return w.copy("users", columns, p.users, func(yield func([]any) bool) {
		for i := range p.users {
			id, at := p.userID(i), p.registered(i)
			if !yield([]any{id, id.String() + emailDomain, true, fmt.Sprintf("User %d", i), p.passwordHash, at, at}) {
				return
			}
		}
	})
}

func (w populator) accounts(accounts []ledgerAccount) error {
	p := w.p
	columns := []string{"user_id", "balance", "sequence", "head_hash", "created_at", "updated_at"}
	return w.copy("credit_accounts", columns, p.users, func(yield func([]any) bool) {
		for i := range accounts {
			a := &accounts[i]
			if !yield([]any{p.userID(i), a.balance, a.sequence, a.head[:], p.registered(i), a.updated}) {
				return
			}
		}
	})
}

func (w populator) transactions([]ledgerAccount) error {
	p := w.p
	columns := []string{
		"user_id", "sequence", "id", "type", "amount", "balance_after", "grant_id", "burned",
		"actor_type", "actor_id", "idempotency_key", "hash", "created_at",
	}
	return w.copy("credit_transactions", columns, p.transactions(), func(yield func([]any) bool) {
		for e := range p.history(make([]ledgerAccount, p.users)) {
			row := []any{
				p.userID(e.user), e.sequence, e.id, string(e.kind), e.amount, e.balance, e.grantID, e.burnedColumn(),
				string(creditledger.ActorAPIKey), p.actor, e.key, e.hash[:], e.at,
			}
			if !yield(row) {
				return
			}
		}
	})
}

func (w populator) keys([]ledgerAccount) error {
	p := w.p
	columns := []string{"caller_id", "key", "fingerprint", "user_id", "sequence", "status", "created_at"}
	return w.copy("idempotency_keys", columns, p.transactions(), func(yield func([]any) bool) {
		for n := range p.transactions() {
			fingerprint := p.fingerprint(n)
			if !yield([]any{p.actor, p.key(n), fingerprint[:], p.userID(p.user(n)), int64(n/p.users + 1), int16(201), p.at(n)}) {
				return
			}
		}
	})
}

func (w populator) grants(accounts []ledgerAccount) error {
	count := 0
	for i := range accounts {
		count += len(accounts[i].credits)
	}
	columns := []string{"user_id", "id", "sequence", "amount", "remaining", "priority", "expires_at", "created_at"}
	return w.copy("credit_grants", columns, count, func(yield func([]any) bool) {
		for i := range accounts {
			user := w.p.userID(i)
			for _, c := range accounts[i].credits {
				if !yield([]any{user, c.id, c.sequence, c.amount, c.remaining, c.priority, c.expiresAt, c.at}) {
					return
				}
			}
		}
	})
}

// copy sends rows to a table.
func (w populator) copy(table string, columns []string, count int, rows iter.Seq[[]any]) error {
	next, stop := iter.Pull(rows)
	defer stop()
	done := 0
	_, err := w.tx.CopyFrom(w.ctx, pgx.Identifier{table}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		row, more := next()
		if !more {
			return nil, nil
		}
		if done++; done%10_000 == 0 {
			w.progress(table, done, count)
		}
		return row, nil
	}))
	return err
}

// withoutIndexes does something while the tables have neither indexes nor
// constraints but checks, and makes those anew afterwards, all in the one
// transaction.
func (w populator) withoutIndexes(do func() error) error {
	// Making an index is sorting.
	if _, err := w.tx.Exec(w.ctx, "SET LOCAL maintenance_work_mem = '256MB'"); err != nil {
		return err
	}
	constraints, err := w.statements(`
		SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
		       format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
		FROM pg_constraint
		WHERE contype IN ('f', 'p', 'u') AND (conrelid = ANY ($1::text[]::regclass[]) OR confrelid = ANY ($1::text[]::regclass[]))
		ORDER BY contype = 'f' DESC, conname`)
	if err != nil {
		return err
	}
	indexes, err := w.statements(`
		SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
		FROM pg_index
		WHERE indrelid = ANY ($1::text[]::regclass[]) AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid)
		ORDER BY indexrelid::regclass::text`)
	if err != nil {
		return err
	}
	all := slices.Concat(constraints, indexes)
	for _, s := range all {
		if err := w.exec(s.drop); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	// Foreign keys were dropped first and need the indexes: they come last.
	for i := len(all) - 1; i >= 0; i-- {
		if err := w.exec(all[i].create); err != nil {
			return err
		}
	}
	return nil
}

// object is something to drop and to make anew.
type object struct{ drop, create string }

func (w populator) statements(query string) ([]object, error) {
	rows, err := w.tx.Query(w.ctx, query, populated)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (o object, err error) {
		err = row.Scan(&o.drop, &o.create)
		return o, err
	})
}

func (w populator) exec(statement string) error {
	w.progress(statement, 0, 0)
	_, err := w.tx.Exec(w.ctx, statement)
	return err
}
