package creditledger_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/creditledger"
)

// What cannot be read is never answered as if it were known, least of all that
// there is no such thing, which would be kept.
func TestLedger_CannotRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	owner := b.db.Owner(t)
	known, params := b.request(), creditledger.GrantParams{UserID: b.userID, Amount: 10}
	first, err := b.ledger.Grant(t.Context(), known, params)
	require.NoError(t, err)
	granted, h := first.Transaction, b.place(t, 1)

	for _, c := range []struct {
		name, table string
		ask         func(r creditledger.Request) error
	}{
		{"Grant", "credit_accounts", func(r creditledger.Request) error {
			_, err := b.ledger.Grant(t.Context(), r, creditledger.GrantParams{UserID: b.userID, Amount: 1})
			return err
		}},
		{"Replay", "credit_transaction_notes", func(creditledger.Request) error {
			_, err := b.ledger.Grant(t.Context(), known, params)
			return err
		}},
		{"VoidHold", "credit_holds", func(r creditledger.Request) error {
			_, err := b.ledger.VoidHold(t.Context(), r, h.ID)
			return err
		}},
		{"RevokeGrant", "credit_grants", func(r creditledger.Request) error {
			_, err := b.ledger.RevokeGrant(t.Context(), r, *granted.GrantID)
			return err
		}},
		{"Reverse", "credit_transactions", func(r creditledger.Request) error {
			_, err := b.ledger.Reverse(t.Context(), r, granted.ID, creditledger.ReversalParams{})
			return err
		}},
		{"GetHold", "credit_holds", func(creditledger.Request) error { _, err := b.ledger.GetHold(t.Context(), h.ID); return err }},
		{"Holds", "credit_holds", func(creditledger.Request) error {
			_, _, err := b.ledger.Holds(t.Context(), b.userID, uuid.Max, 1)
			return err
		}},
		{"Grants", "credit_grants", func(creditledger.Request) error {
			_, _, err := b.ledger.Grants(t.Context(), b.userID, creditledger.GrantPlace{}, 1)
			return err
		}},
		{"Balance", "credit_accounts", func(creditledger.Request) error {
			_, err := b.ledger.Balance(t.Context(), b.userID)
			return err
		}},
		{"BalanceAt", "credit_transactions", func(creditledger.Request) error {
			_, err := b.ledger.BalanceAt(t.Context(), b.userID, epoch)
			return err
		}},
		{"Transactions", "credit_transaction_notes", func(creditledger.Request) error {
			_, _, err := b.ledger.Transactions(t.Context(), b.userID, creditledger.TransactionFilter{Limit: 1})
			return err
		}},
		{"TransactionsFrom", "credit_transactions", func(creditledger.Request) error {
			_, _, err := b.ledger.Transactions(t.Context(), b.userID, creditledger.TransactionFilter{Limit: 1, From: &epoch})
			return err
		}},
		{"TransactionsTo", "credit_transactions", func(creditledger.Request) error {
			_, _, err := b.ledger.Transactions(t.Context(), b.userID, creditledger.TransactionFilter{Limit: 1, To: &epoch})
			return err
		}},
		{"AllTransactions", "credit_transactions", func(creditledger.Request) error {
			_, _, err := b.ledger.AllTransactions(t.Context(), creditledger.AllTransactionsFilter{Limit: 1})
			return err
		}},
		{"Statement", "credit_transactions", func(creditledger.Request) error {
			_, err := b.ledger.Statement(t.Context(), b.userID, nil, nil)
			return err
		}},
		{"StatementOfUnknown", "credit_accounts", func(creditledger.Request) error {
			_, err := b.ledger.Statement(t.Context(), b.userID, nil, nil)
			return err
		}},
		{"ExpireDue", "credit_grants", func(creditledger.Request) error { return b.ledger.ExpireDue(t.Context()) }},
		{"CleanUp", "idempotency_keys", func(creditledger.Request) error { return b.ledger.CleanUp(t.Context()) }},
	} {
		_, err := owner.Exec(t.Context(), "ALTER TABLE "+c.table+" RENAME TO gone")
		require.NoError(t, err)
		r := b.request()
		got := c.ask(r)
		_, err = owner.Exec(t.Context(), "ALTER TABLE gone RENAME TO "+c.table)
		require.NoError(t, err)
		require.Error(t, got, c.name)
		require.Equal(t, apperr.Internal, apperr.From(got).Kind, c.name)
		require.False(t, b.isKept(t, r), c.name)
	}
	b.requireBalance(t, 10, 1)
}

// Nor without a database at all.
func TestLedger_NoConnection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pool, err := pgxpool.New(t.Context(), b.db.URL)
	require.NoError(t, err)
	pool.Close()
	l := creditledger.New(pool, creditledger.Options{Now: b.clock.Now})
	_, err = l.Grant(t.Context(), b.request(), creditledger.GrantParams{UserID: b.userID, Amount: 1})
	require.ErrorContains(t, err, "acquiring a connection")
	require.Equal(t, apperr.Internal, apperr.From(err).Kind)
}
