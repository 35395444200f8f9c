package ledgerproof

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// Options are what a verification is told. The zero value compares with nothing
// outside the database, and tells nobody how far it is.
type Options struct {
	// Outside are checkpoints that were kept outside the database.
	Outside []Checkpoint
	// Progress is called every second or so while accounts are read; nil for never.
	Progress func(Progress)

	page int32 // rows; for tests
}

// Progress is how far a verification is.
type Progress struct {
	Accounts, Transactions       int64
	AllAccounts, AllTransactions int64
	Took                         time.Duration
}

// Report is what was proved, or, where there is an error, what was gone through before it.
type Report struct {
	Accounts     int64 `json:"accounts"`
	Transactions int64 `json:"transactions"`
	HoldEvents   int64 `json:"hold_events"`
	// In the smallest unit, over all accounts: Issued is the sum of the others.
	Issued      *big.Int `json:"issued"`
	Spent       *big.Int `json:"spent"` // less what was reversed
	Expired     *big.Int `json:"expired"`
	Revoked     *big.Int `json:"revoked"` // and grants that were reversed
	Outstanding *big.Int `json:"outstanding"`
	// Checkpoints is how many the database has, of which NotOutside were not
	// among those that it was compared with.
	Checkpoints int64   `json:"checkpoints"`
	NotOutside  []int64 `json:"not_outside,omitempty"`
	// KeyIDs are those of the keys that signed them, in their order.
	KeyIDs []string      `json:"key_ids,omitempty"`
	Took   time.Duration `json:"-"`
}

// Verify proves the ledger, in one snapshot, with the rights of the run-time
// role; a standby will do. Postings go on meanwhile. Memory grows with the open
// grants, the active holds and the checkpoints of one account at a time, not
// with accounts or histories. Errors: *Break for the first thing that is wrong.
func Verify(ctx context.Context, pool *pgxpool.Pool, o Options) (Report, error) {
	var r Report
	err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) (err error) {
		// It takes as long as it takes, pages are too quick to be worth compiling, and keys are sorted.
		for _, setting := range []string{"statement_timeout = 0", "idle_in_transaction_session_timeout = 0", "jit = off", "work_mem = '64MB'"} {
			if _, err := tx.Exec(ctx, "SET LOCAL "+setting); err != nil {
				return pgdb.Classify(fmt.Errorf("setting up the snapshot: %w", err))
			}
		}
		r, err = verify(ctx, tx, o)
		return err
	})
	return r, err
}

// proof is one verification.
type proof struct {
	s *snapshot
	o Options

	accounts     *stream[dbgen.LedgerProofAccountListRow]
	transactions *stream[transaction]
	events       *stream[event]
	notes        *stream[note]
	grants       *stream[grant]
	heads        *stream[head]
	// transactionKeys and eventKeys are in the order of what they name.
	transactionKeys, eventKeys keyStream

	history *history
	count   dbgen.LedgerProofCountRow // of what events have placed
	totals  totals
	report  Report
	size    dbgen.LedgerProofSizeRow
	began   time.Time
	told    time.Time
}

// tellEvery is how often progress is told.
const tellEvery = time.Second

func verify(ctx context.Context, db dbgen.DBTX, o Options) (Report, error) {
	p := &proof{s: newSnapshot(ctx, db, cmp.Or(o.page, pageSize)), o: o, began: time.Now(), told: time.Now()}
	defer p.s.close()
	err := p.run()
	r, t := &p.report, &p.totals
	r.Issued, r.Spent, r.Expired, r.Revoked, r.Outstanding = t.issued.big(), t.spent.big(), t.expired.big(), t.revoked.big(), t.outstanding.big()
	r.Took = time.Since(p.began)
	if err == nil {
		err = r.checkTotals()
	}
	return *r, err
}

func (p *proof) run() error {
	err := p.s.ask("the accounts", func(ctx context.Context, r reader) (err error) {
		p.size, err = r.LedgerProofSize(ctx, r.db)
		return err
	})
	if err != nil {
		return err
	}
	if err := p.readHistory(); err != nil {
		return err
	}
	p.openStreams()
	for {
		row, err := p.accounts.peek()
		if err != nil {
			return err
		}
		if err := p.noOrphans(row); err != nil {
			return err
		}
		if row == nil {
			break
		}
		a := p.newAccount(row)
		p.accounts.skip()
		switch {
		case !row.HasUser:
			return a.broken("", "there is no such user")
		case row.UserDeleted && a.row.ClosedAt == nil:
			return a.broken("", "its user was deleted, but it is open")
		}
		if err := a.replay(); err != nil {
			return err
		}
		p.totals.outstanding.add(a.balance)
		p.report.Accounts++
	}
	if p.report.Accounts != p.size.Accounts {
		return broken("the accounts", "one has no id")
	}
	for _, check := range []func() error{p.noMoreHolds, p.history.finish} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// tell tells how far it is, unless that was told a moment ago.
func (p *proof) tell() {
	if p.o.Progress == nil || time.Since(p.told) < tellEvery {
		return
	}
	p.told = time.Now()
	p.o.Progress(Progress{
		Accounts: p.report.Accounts, Transactions: p.report.Transactions,
		AllAccounts: p.size.Accounts, AllTransactions: p.size.Transactions, Took: time.Since(p.began),
	})
}
