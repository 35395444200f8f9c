package creditledger_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

// closeAccount closes the bundle's account as the deletion of its user does.
func (b *bundle) closeAccount(t *testing.T) {
	t.Helper()
	require.NoError(t, pgx.BeginFunc(t.Context(), b.db.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "UPDATE users SET email = NULL, deleted_at = $2 WHERE id = $1", b.userID, b.clock.Now()); err != nil {
			return err
		}
		return b.ledger.CloseAccount(t.Context(), tx, b.userID)
	}))
}

// That the chain and the sums of closed accounts hold is said by
// prooftest.RequireSound, which setup runs at the end of each test.
func TestLedger_CloseAccount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	note := creditledger.Note{Description: ptr("for Grace"), Metadata: []byte(`{"name":"Grace"}`)}

	t.Run("NothingMovesAndAllAddsUp", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		neighbour := b.fork(t)
		neighbour.grant(t, creditledger.GrantParams{Amount: 1, Note: note})
		b.grant(t, creditledger.GrantParams{Amount: 10, Reference: ptr("order-1"), Note: note, ExpiresAt: in(time.Hour)})
		applied, params := b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 3, Note: creditledger.Note{Description: ptr("for Grace")}}
		_, err := b.ledger.Debit(t.Context(), applied, params)
		require.NoError(t, err)
		b.grant(t, creditledger.GrantParams{Amount: 5})
		balance, grants, want := b.balance(t), b.grants(t), b.history(t)
		for i := range want {
			want[i].Note = creditledger.Note{} // the text, and nothing else
		}

		b.closeAccount(t)
		require.Equal(t, balance, b.balance(t))
		require.Equal(t, grants, b.grants(t))
		requireSame(t, want, b.history(t))
		require.Equal(t, note, neighbour.history(t)[0].Note, "another's text stays")

		_, err = b.ledger.RevokeGrant(t.Context(), b.request(), grants[0].ID)
		require.ErrorIs(t, err, creditledger.ErrGrantNotFound)
		_, err = b.ledger.Reverse(t.Context(), b.request(), want[1].ID, creditledger.ReversalParams{})
		require.ErrorIs(t, err, creditledger.ErrTransactionNotFound)
		for name, ask := range map[string]func(creditledger.Request) error{
			"Grant": func(r creditledger.Request) error {
				_, err := b.ledger.Grant(t.Context(), r, creditledger.GrantParams{UserID: b.userID, Amount: 1})
				return err
			},
			"Debit": func(r creditledger.Request) error {
				_, err := b.ledger.Debit(t.Context(), r, creditledger.DebitParams{UserID: b.userID, Amount: 1})
				return err
			},
			"PartialDebit": func(r creditledger.Request) error {
				_, err := b.ledger.Debit(t.Context(), r, creditledger.DebitParams{UserID: b.userID, Amount: 1, AllowPartial: true})
				return err
			},
		} {
			r := b.request()
			err := ask(r)
			require.ErrorIs(t, err, creditledger.ErrUserNotFound, name)
			first := refusedBy(t, err)
			require.Equal(t, http.StatusNotFound, first.Status)
			require.True(t, b.isKept(t, r), name)
			require.Equal(t, &creditledger.Refused{Status: first.Status, Body: first.Body, Replayed: true}, refusedBy(t, ask(r)))
		}

		// A late duplicate of what was applied is told so, and not by its text.
		again, err := b.ledger.Debit(t.Context(), applied, params)
		require.NoError(t, err)
		requireSame(t, creditledger.Receipt{Transaction: want[1], Replayed: true}, again)

		// Nor does anything expire any more: nothing is written.
		b.clock.Advance(2 * time.Hour)
		_, err = b.debit(t, 1)
		require.ErrorIs(t, err, creditledger.ErrUserNotFound)
		requireSame(t, want, b.history(t))
	})

	t.Run("RolledBack", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10, Note: note})
		failed := errors.New("the deletion failed")
		require.ErrorIs(t, pgx.BeginFunc(t.Context(), b.db.Pool, func(tx pgx.Tx) error {
			require.NoError(t, b.ledger.CloseAccount(t.Context(), tx, b.userID))
			return failed
		}), failed)
		require.Equal(t, note, b.history(t)[0].Note)
		_, err := b.debit(t, 10)
		require.NoError(t, err)
	})

	t.Run("Twice", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		closedAt := func() (at time.Time) {
			require.NoError(t, b.db.Pool.QueryRow(t.Context(), "SELECT closed_at FROM credit_accounts WHERE user_id = $1", b.userID).Scan(&at))
			return at
		}
		b.closeAccount(t)
		require.Equal(t, epoch, closedAt())
		b.clock.Advance(time.Hour)
		b.closeAccount(t)
		require.Equal(t, epoch, closedAt())
	})

	t.Run("NoAccount", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, pgx.BeginFunc(t.Context(), b.db.Pool, func(tx pgx.Tx) error {
			return b.ledger.CloseAccount(t.Context(), tx, uuid.New())
		}))
	})
}

// Who comes first is whole: a posting under way is waited for, and its text is
// erased as well; one that has to wait finds no account.
func TestLedger_CloseAccountWhilePosting(t *testing.T) {
	t.Parallel()
	b := setup(t)
	applied, refused := 0, 0
	for round := range 12 {
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 1000})
		const debits = 12
		errs := make([]error, debits+1)
		atOnce(len(errs), func(i int) {
			if i == round { // of those that start, another one each time
				errs[i] = pgx.BeginFunc(t.Context(), b.db.Pool, func(tx pgx.Tx) error { return b.ledger.CloseAccount(t.Context(), tx, b.userID) })
				return
			}
			_, errs[i] = b.ledger.Debit(t.Context(), b.request(), creditledger.DebitParams{
				UserID: b.userID, Amount: 1, Note: creditledger.Note{Description: ptr("for Grace")},
			})
		})
		before := applied
		for i, err := range errs {
			switch {
			case i == round:
				require.NoError(t, err)
			case err == nil:
				applied++
			default:
				require.ErrorIs(t, err, creditledger.ErrUserNotFound)
				refused++
			}
		}
		history := b.history(t)
		require.Len(t, history, 1+applied-before)
		for _, x := range history {
			require.Nil(t, x.Note.Description)
		}
	}
	require.Positive(t, applied)
	require.Positive(t, refused)
}

// The text of a posting that had not committed when closing began is erased too.
func TestLedger_CloseAccountWaits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 10})
	posting, err := b.db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer posting.Rollback(t.Context())
	_, err = posting.Exec(t.Context(), "SELECT FROM credit_accounts WHERE user_id = $1 FOR UPDATE", b.userID)
	require.NoError(t, err)
	closed := make(chan error, 1)
	go func() {
		closed <- pgx.BeginFunc(t.Context(), b.db.Pool, func(tx pgx.Tx) error { return b.ledger.CloseAccount(t.Context(), tx, b.userID) })
	}()
	b.requireWaiting(t, "CreditAccountClose")

	_, err = posting.Exec(t.Context(), "INSERT INTO credit_transaction_notes (user_id, sequence, salt, description) VALUES ($1, 1, $2, 'for Grace')", b.userID, make([]byte, 16))
	require.NoError(t, err)
	require.NoError(t, posting.Commit(t.Context()))
	require.NoError(t, <-closed)
	require.Nil(t, b.history(t)[0].Note.Description)
}

// requireWaiting waits until a statement waits for a lock.
func (b *bundle) requireWaiting(t *testing.T, statement string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var n int
		err := b.db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%name: '||$1||'%'", statement).Scan(&n)
		return err == nil && n > 0
	}, 10*time.Second, time.Millisecond)
}

func TestLedger_CleanUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 10})
	applied, params := b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 4}
	first, err := b.ledger.Debit(t.Context(), applied, params)
	require.NoError(t, err)
	refuse := func() creditledger.Request {
		t.Helper()
		r := b.request()
		_, err := b.ledger.Debit(t.Context(), r, creditledger.DebitParams{UserID: b.userID, Amount: 100})
		require.ErrorIs(t, err, creditledger.ErrInsufficientCredits)
		return r
	}
	old := refuse()
	// More than four replicas remove with a page each.
	_, err = b.db.Pool.Exec(t.Context(), `
		INSERT INTO idempotency_keys (caller_id, key, fingerprint, status, body, created_at)
		SELECT $1, 'old-' || n, $2, 404, '{}', $3 FROM generate_series(1, 4500) n`, uuid.New(), make([]byte, 32), b.clock.Now())
	require.NoError(t, err)
	b.clock.Advance(time.Microsecond)
	newer := refuse()
	keys := func() (n int) {
		t.Helper()
		require.NoError(t, b.db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM idempotency_keys").Scan(&n))
		return n
	}
	all := keys()

	for _, pass := range []time.Duration{0, 48 * time.Hour, 24*time.Hour - time.Microsecond} { // to 72 hours after the old ones
		b.clock.Advance(pass)
		require.NoError(t, b.ledger.CleanUp(t.Context()))
		require.Equal(t, all, keys())
	}
	b.clock.Advance(time.Microsecond)
	errs := make([]error, 4) // replicas
	atOnce(len(errs), func(i int) { errs[i] = b.ledger.CleanUp(t.Context()) })
	require.NoError(t, errors.Join(errs...))
	require.False(t, b.isKept(t, old))
	require.True(t, b.isKept(t, newer))
	require.Equal(t, all-4501, keys())

	b.clock.Advance(10_000 * time.Hour)
	require.NoError(t, b.ledger.CleanUp(t.Context()))
	require.Equal(t, 2, keys(), "those of applied transactions stay as long as these")
	again, err := b.ledger.Debit(t.Context(), applied, params)
	require.NoError(t, err)
	requireSame(t, creditledger.Receipt{Transaction: first.Transaction, Replayed: true}, again)
}
