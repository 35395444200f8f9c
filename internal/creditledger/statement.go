package creditledger

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// Statement is an account over a time: its balance before, its transactions,
// oldest first, and its balance after.
type Statement struct {
	UserID  uuid.UUID
	Opening int64
	Closing int64

	l           *Ledger
	after, last int64 // sequence numbers: after this one, to this one
}

// endOfTime is later than any record.
var endOfTime = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)

// statementPage is how many transactions are in memory at once.
const statementPage = 500

// Statement returns a user's statement from a moment (nil for the beginning) to
// before another (nil for now). Balances are those that the transactions add up
// to. Errors: ErrUserNotFound.
func (l *Ledger) Statement(ctx context.Context, userID uuid.UUID, from, to *time.Time) (*Statement, error) {
	if err := l.exists(ctx, userID); err != nil {
		return nil, err
	}
	s := &Statement{UserID: userID, l: l}
	end := endOfTime // clocks of replicas differ: no reading of ours lies behind all records
	if to != nil {
		end = *to
	}
	var err error
	if s.last, err = l.sequenceBefore(ctx, userID, end); err != nil {
		return nil, err
	}
	if from != nil {
		if s.after, err = l.sequenceBefore(ctx, userID, *from); err != nil {
			return nil, err
		}
	}
	s.last = max(s.last, s.after)
	if s.Opening, err = l.balanceAfter(ctx, userID, s.after); err != nil {
		return nil, err
	}
	s.Closing, err = l.balanceAfter(ctx, userID, s.last)
	return s, err
}

func (l *Ledger) balanceAfter(ctx context.Context, userID uuid.UUID, sequence int64) (int64, error) {
	if sequence == 0 {
		return 0, nil
	}
	made, err := l.transactions(ctx, []recordColumn{{userID, sequence}})
	if err != nil {
		return 0, pgdb.Classify(err)
	}
	return made[0].BalanceAfter, nil
}

// Transactions yields the statement's transactions, oldest first, reading them
// page by page. An error ends it.
func (s *Statement) Transactions(ctx context.Context) iter.Seq2[Transaction, error] {
	return func(yield func(Transaction, error) bool) {
		for after := s.after; after < s.last; {
			page := dbgen.CreditTransactionListForwardParams{UserID: s.UserID, After: after, Last: s.last, PageSize: statementPage}
			rows, err := s.l.q.CreditTransactionListForward(ctx, s.l.reads, page)
			if err == nil && len(rows) == 0 { // these reads are late
				rows, err = s.l.q.CreditTransactionListForward(ctx, s.l.pool, page)
			}
			if err == nil && len(rows) == 0 {
				err = fmt.Errorf("transaction %d of %s is missing", after+1, s.UserID)
			}
			if err != nil {
				yield(Transaction{}, pgdb.Classify(err))
				return
			}
			for _, row := range rows {
				t, err := transactionFrom(row.CreditTransaction, row.Description, row.Metadata)
				if !yield(t, pgdb.Classify(err)) || err != nil {
					return
				}
				after = t.Sequence
			}
		}
	}
}
