package creditledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/creditledger"
)

// A key is stored in the transaction of what it speaks of: neither is ever there
// without the other, whenever the process or the database ends.
func TestLedger_OneTransactionOnDisk(t *testing.T) {
	t.Parallel()
	b := setup(t)
	to := b.openAccount(t, uuid.New())
	grant := b.grant(t, creditledger.GrantParams{Amount: 100, Note: creditledger.Note{Description: ptr("a gift")}})
	x, err := b.debit(t, 10)
	require.NoError(t, err)
	h := b.place(t, 20)
	_, err = b.capture(t, h.ID, ptr(int64(5)), true)
	require.NoError(t, err)
	_, err = b.reverse(t, x.ID, nil)
	require.NoError(t, err)
	_, err = b.transfer(t, to, 7)
	require.NoError(t, err)
	_, err = b.ledger.Bulk(t.Context(), b.request(), false, []creditledger.BulkOperation{creditledger.DebitParams{UserID: to, Amount: 1}, creditledger.GrantParams{UserID: to, Amount: 1}})
	require.NoError(t, err)
	_, err = b.revoke(t, *grant.GrantID)
	require.NoError(t, err)

	var keys, apart int
	require.NoError(t, b.db.Pool.QueryRow(t.Context(), `
		WITH written AS (
			SELECT k.key, k.xmin::text FROM idempotency_keys k
			UNION
			SELECT t.idempotency_key, t.xmin::text FROM credit_transactions t WHERE t.idempotency_key IS NOT NULL
			UNION
			SELECT t.idempotency_key, n.xmin::text FROM credit_transactions t JOIN credit_transaction_notes n USING (user_id, sequence)
			UNION
			SELECT e.idempotency_key, e.xmin::text FROM credit_hold_events e WHERE e.idempotency_key IS NOT NULL
		)
		SELECT count(DISTINCT key), count(*) FROM written`).Scan(&keys, &apart))
	require.Equal(t, 8, keys)
	require.Equal(t, keys, apart, "some was written by a transaction of its own")
}

// Everybody locks accounts in the order of their ids, so that no two postings
// wait for each other: while a posting waits for one, it has those with lower
// ids, and none with higher.
func TestLedger_LocksInOrderOfIDs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ids := make([]uuid.UUID, 5)
	for i := range ids {
		ids[i] = uuid.UUID{byte(7 * (i + 1) % 11), 15: byte(i + 1)} // 7, 3, 10, 6, 2: not the order in which they lie
		b.openAccount(t, ids[i])
	}
	isFree := func(id uuid.UUID) bool {
		var free bool
		require.NoError(t, b.db.Pool.QueryRow(t.Context(),
			"SELECT EXISTS (SELECT FROM (SELECT FROM credit_accounts WHERE user_id = $1 FOR UPDATE SKIP LOCKED) free)", id).Scan(&free))
		return free
	}
	for _, locked := range ids {
		unlock := b.lockAccount(t, locked)
		grants := make([]creditledger.BulkOperation, len(ids))
		for i, id := range ids {
			grants[i] = creditledger.GrantParams{UserID: id, Amount: 1}
		}
		done := make(chan error, 1)
		go func() {
			_, err := b.ledger.Bulk(t.Context(), b.request(), true, grants)
			done <- err
		}()
		b.requireWaiting(t, "CreditAccountLock")
		for _, id := range ids {
			if id != locked {
				require.Equal(t, id[0] > locked[0], isFree(id), "%d while %d is waited for", id[0], locked[0])
			}
		}
		unlock()
		require.NoError(t, <-done)
	}
}

// Whatever was refused because of the state is refused again, in the same words,
// though by then it could be done.
func TestLedger_KeptRefusalOfEachKind(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]struct {
		want error
		// prepare returns what is asked for, and what makes it possible.
		prepare func(t *testing.T, b *bundle) (ask func(context.Context, creditledger.Request) error, allow func())
	}{
		"Hold": {creditledger.ErrInsufficientCredits, func(t *testing.T, b *bundle) (func(context.Context, creditledger.Request) error, func()) {
			t.Helper()
			return func(ctx context.Context, r creditledger.Request) error {
				_, err := b.ledger.Hold(ctx, r, creditledger.HoldParams{UserID: b.userID, Amount: 5, ExpiresIn: time.Hour})
				return err
			}, func() { b.grant(t, creditledger.GrantParams{Amount: 100}) }
		}},
		"Transfer": {creditledger.ErrInsufficientCredits, func(t *testing.T, b *bundle) (func(context.Context, creditledger.Request) error, func()) {
			t.Helper()
			to := b.openAccount(t, uuid.New())
			return func(ctx context.Context, r creditledger.Request) error {
				_, err := b.ledger.Transfer(ctx, r, creditledger.TransferParams{FromUserID: b.userID, ToUserID: to, Amount: 5})
				return err
			}, func() { b.grant(t, creditledger.GrantParams{Amount: 100}) }
		}},
		"AtomicBatch": {creditledger.ErrInsufficientCredits, func(t *testing.T, b *bundle) (func(context.Context, creditledger.Request) error, func()) {
			t.Helper()
			return func(ctx context.Context, r creditledger.Request) error {
				_, err := b.ledger.Bulk(ctx, r, true, []creditledger.BulkOperation{creditledger.DebitParams{UserID: b.userID, Amount: 5}})
				return err
			}, func() { b.grant(t, creditledger.GrantParams{Amount: 100}) }
		}},
		"CaptureOfMore": {creditledger.ErrCaptureExceedsHold, func(t *testing.T, b *bundle) (func(context.Context, creditledger.Request) error, func()) {
			t.Helper()
			b.grant(t, creditledger.GrantParams{Amount: 100})
			h := b.place(t, 4)
			return func(ctx context.Context, r creditledger.Request) error {
					_, err := b.ledger.CaptureHold(ctx, r, h.ID, creditledger.CaptureParams{Amount: ptr(int64(5))})
					return err
				}, func() {
					_, err := b.ledger.IncrementHold(t.Context(), b.request(), h.ID, 10)
					require.NoError(t, err)
				}
		}},
		"ReversalOfMore": {creditledger.ErrReversalExceedsOriginal, func(t *testing.T, b *bundle) (func(context.Context, creditledger.Request) error, func()) {
			t.Helper()
			b.grant(t, creditledger.GrantParams{Amount: 10})
			x, err := b.debit(t, 5)
			require.NoError(t, err)
			return func(ctx context.Context, r creditledger.Request) error {
				_, err := b.ledger.Reverse(ctx, r, x.ID, creditledger.ReversalParams{Amount: ptr(int64(6))})
				return err
			}, func() {}
		}},
		"NotReversible": {creditledger.ErrNotReversible, func(t *testing.T, b *bundle) (func(context.Context, creditledger.Request) error, func()) {
			t.Helper()
			grant := b.grant(t, creditledger.GrantParams{Amount: 10})
			x, err := b.revoke(t, *grant.GrantID)
			require.NoError(t, err)
			return func(ctx context.Context, r creditledger.Request) error {
				_, err := b.ledger.Reverse(ctx, r, x.ID, creditledger.ReversalParams{})
				return err
			}, func() {}
		}},
		"AlreadyReversed": {creditledger.ErrAlreadyReversed, func(t *testing.T, b *bundle) (func(context.Context, creditledger.Request) error, func()) {
			t.Helper()
			b.grant(t, creditledger.GrantParams{Amount: 10})
			x, err := b.debit(t, 5)
			require.NoError(t, err)
			_, err = b.reverse(t, x.ID, nil)
			require.NoError(t, err)
			return func(ctx context.Context, r creditledger.Request) error {
				_, err := b.ledger.Reverse(ctx, r, x.ID, creditledger.ReversalParams{})
				return err
			}, func() {}
		}},
		"HoldThatIsOver": {creditledger.ErrHoldNotActive, func(t *testing.T, b *bundle) (func(context.Context, creditledger.Request) error, func()) {
			t.Helper()
			b.grant(t, creditledger.GrantParams{Amount: 10})
			h := b.place(t, 4)
			require.NoError(t, b.void(t, h.ID))
			return func(ctx context.Context, r creditledger.Request) error {
				_, err := b.ledger.VoidHold(ctx, r, h.ID)
				return err
			}, func() {}
		}},
		"GrantThatIsSpent": {creditledger.ErrGrantNotActive, func(t *testing.T, b *bundle) (func(context.Context, creditledger.Request) error, func()) {
			t.Helper()
			grant := b.grant(t, creditledger.GrantParams{Amount: 10})
			x, err := b.debit(t, 10)
			require.NoError(t, err)
			return func(ctx context.Context, r creditledger.Request) error {
					_, err := b.ledger.RevokeGrant(ctx, r, *grant.GrantID)
					return err
				}, func() {
					_, err := b.reverse(t, x.ID, nil)
					require.NoError(t, err)
				}
		}},
		"NoSuchHold": {creditledger.ErrHoldNotFound, func(_ *testing.T, b *bundle) (func(context.Context, creditledger.Request) error, func()) {
			return func(ctx context.Context, r creditledger.Request) error {
				_, err := b.ledger.VoidHold(ctx, r, uuid.Max)
				return err
			}, func() {}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := b.fork(t)
			ask, allow := c.prepare(t, b)
			r := b.request()
			err := ask(t.Context(), r)
			require.ErrorIs(t, err, c.want)
			first := refusedBy(t, err)
			require.False(t, first.Replayed)
			allow()
			before := b.history(t)
			require.Equal(t, &creditledger.Refused{Status: first.Status, Body: first.Body, Replayed: true}, refusedBy(t, ask(t.Context(), r)))
			requireSame(t, before, b.history(t))
			r.Fingerprint[0]++
			require.ErrorIs(t, ask(t.Context(), r), creditledger.ErrKeyReused)
		})
	}
}

// The text of holds goes with their owner, whose holds nobody can touch any more.
func TestLedger_CloseAccountWithHolds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 10})
	note := creditledger.Note{Description: ptr("for Grace"), Metadata: []byte(`{"name":"Grace"}`)}
	ask, params := b.request(), creditledger.HoldParams{UserID: b.userID, Amount: 4, ExpiresIn: time.Hour, Reference: ptr("room-1"), Note: note}
	r, err := b.ledger.Hold(t.Context(), ask, params)
	require.NoError(t, err)
	captured, err := b.ledger.CaptureHold(t.Context(), b.request(), r.Hold.ID, creditledger.CaptureParams{Amount: ptr(int64(1))})
	require.NoError(t, err)
	require.Equal(t, note, captured.Hold.Note)
	b.closeAccount(t)

	h, err := b.ledger.GetHold(t.Context(), r.Hold.ID)
	require.NoError(t, err)
	require.Equal(t, creditledger.Note{}, h.Note)
	require.Equal(t, ptr("room-1"), h.Reference)
	again, err := b.ledger.Hold(t.Context(), ask, params)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.Equal(t, creditledger.Note{}, again.Hold.Note, "nor is it told to who asks again")
	for _, x := range b.history(t) {
		require.Equal(t, creditledger.Note{}, x.Note)
	}
	var texts int
	require.NoError(t, b.db.Pool.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM credit_hold_notes) + (SELECT count(*) FROM credit_transaction_notes)").Scan(&texts))
	require.Zero(t, texts)

	require.ErrorIs(t, b.void(t, h.ID), creditledger.ErrHoldNotFound)
	_, err = b.capture(t, h.ID, nil, true)
	require.ErrorIs(t, err, creditledger.ErrHoldNotFound)
	b.clock.Advance(2 * time.Hour)
	require.NoError(t, b.ledger.ExpireDue(t.Context()))
	require.Len(t, b.history(t), 2, "nothing moves")
}

// A sweep that fails for one account says so, and closes what it can.
func TestLedger_ExpireDueFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	broken := b.fork(t)
	for _, b := range []*bundle{b, broken} {
		b.grant(t, creditledger.GrantParams{Amount: 10, ExpiresAt: in(time.Hour)})
	}
	b.clock.Advance(time.Hour)
	owner := b.db.Owner(t)
	_, err := owner.Exec(t.Context(), fmt.Sprintf("ALTER TABLE credit_accounts ADD CONSTRAINT planted CHECK (user_id <> '%s') NOT VALID", broken.userID))
	require.NoError(t, err)
	require.ErrorContains(t, b.ledger.ExpireDue(t.Context()), "planted")
	require.Len(t, b.history(t), 2)
	require.Len(t, broken.history(t), 1)

	_, err = owner.Exec(t.Context(), "ALTER TABLE credit_accounts DROP CONSTRAINT planted")
	require.NoError(t, err)
	require.NoError(t, b.ledger.ExpireDue(t.Context()))
	require.Len(t, broken.history(t), 2)
}

// Several replicas sweep at once, over more accounts than a page holds: each
// grant and each hold is closed once.
func TestLedger_ExpireDueOnReplicas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const accounts = 230
	ids := b.openAccounts(t, accounts)
	grants := make([]creditledger.BulkOperation, 0, 2*accounts)
	for _, id := range ids {
		grants = append(grants, creditledger.GrantParams{UserID: id, Amount: 3, ExpiresAt: in(time.Minute)}, creditledger.GrantParams{UserID: id, Amount: 4})
	}
	_, err := b.ledger.Bulk(t.Context(), b.request(), true, grants)
	require.NoError(t, err)
	held := make([]error, 20)
	atOnce(len(held), func(i int) {
		_, held[i] = b.ledger.Hold(t.Context(), b.request(), creditledger.HoldParams{UserID: ids[i], Amount: 2, ExpiresIn: time.Minute})
	})
	require.NoError(t, errors.Join(held...))

	require.NoError(t, b.ledger.ExpireDue(t.Context()))
	records := func() (n []int) {
		t.Helper()
		n = make([]int, 2)
		require.NoError(t, b.db.Pool.QueryRow(t.Context(),
			"SELECT (SELECT count(*) FROM credit_transactions WHERE type = 'expiry'), (SELECT count(*) FROM credit_hold_events WHERE type = 'expired')").Scan(&n[0], &n[1]))
		return n
	}
	require.Equal(t, []int{0, 0}, records(), "nothing was due")

	b.clock.Advance(time.Hour)
	errs := make([]error, 3)
	atOnce(len(errs), func(i int) {
		errs[i] = creditledger.New(b.db.Pool, creditledger.Options{Now: b.clock.Now}).ExpireDue(t.Context())
	})
	require.NoError(t, errors.Join(errs...))
	require.Equal(t, []int{accounts, len(held)}, records())
	var sum int64
	require.NoError(t, b.db.Pool.QueryRow(t.Context(), "SELECT sum(balance) FROM credit_accounts").Scan(&sum))
	require.Equal(t, int64(4*accounts), sum)
}

// One request's refusal is its own, in one batch with requests that are done.
func TestLedger_RefusalAmongNeighbours(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 100})
	unlock := b.lockAccount(t, b.userID)
	first := make(chan error, 1)
	go func() { _, err := b.debit(t, 1); first <- err }()
	b.requireWaiting(t, "CreditAccountLock")

	asks := []func() error{
		func() error { _, err := b.debit(t, 10); return err },
		func() error { _, err := b.debit(t, 1000); return err },
		func() error { _, err := b.debit(t, 20); return err },
		func() error { return b.void(t, uuid.Max) },
		func() error {
			_, err := b.ledger.Grant(t.Context(), b.request(), creditledger.GrantParams{UserID: b.userID, Amount: 1, ExpiresAt: in(0)})
			return err
		},
		func() error { _, err := b.debit(t, 30); return err },
	}
	errs := make([]error, len(asks))
	done := make(chan struct{})
	go func() { atOnce(len(asks), func(i int) { errs[i] = asks[i]() }); close(done) }()
	unlock()
	<-done
	require.NoError(t, errors.Join(<-first, errs[0], errs[2], errs[5]))
	require.Equal(t, apperr.InsufficientCredits, apperr.From(errs[1]).Kind)
	require.ErrorIs(t, errs[3], creditledger.ErrHoldNotFound)
	require.ErrorIs(t, errs[4], creditledger.ErrExpiryInThePast)
	b.requireBalance(t, 39, 0)
}
