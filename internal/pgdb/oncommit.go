package pgdb

import "github.com/jackc/pgx/v5"

// watchedTx is a transaction of InTx.
type watchedTx struct {
	pgx.Tx
	after []func()
}

func (t *watchedTx) committed() {
	for _, f := range t.after {
		f()
	}
}

// OnCommit has f called when tx has been committed, and never if it is not: to
// tell others of what happened. It is called at once for a transaction that InTx
// did not begin.
func OnCommit(tx pgx.Tx, f func()) {
	if watched, ok := tx.(*watchedTx); ok {
		watched.after = append(watched.after, f)
		return
	}
	f()
}
