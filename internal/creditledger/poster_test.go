package creditledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/creditledger"
)

// lockAccount locks an account's row as another program might, until unlock is called.
func (b *bundle) lockAccount(t *testing.T, userID uuid.UUID) (unlock func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.db.Pool.Config().ConnString())
	require.NoError(t, err)
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT 1 FROM credit_accounts WHERE user_id = $1 FOR UPDATE", userID)
	require.NoError(t, err)
	closed := false
	unlock = func() {
		if !closed {
			closed = true
			_ = conn.Close(context.Background())
		}
	}
	t.Cleanup(unlock)
	return unlock
}

// Somebody who locks one account holds up this account alone.
func TestPoster_LockedAccount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.fork(t)
	b.grant(t, creditledger.GrantParams{Amount: 10})
	other.grant(t, creditledger.GrantParams{Amount: 10})
	unlock := b.lockAccount(t, b.userID)

	blocked := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := b.ledger.Debit(t.Context(), b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 1})
			blocked <- err
		}()
	}
	b.requireWaiting(t, "CreditAccountLock")
	for range 3 {
		_, err := b.ledger.Debit(t.Context(), other.request(), creditledger.DebitParams{UserID: other.userID, Amount: 1})
		require.NoError(t, err)
	}
	_, err := b.ledger.Debit(t.Context(), b.request(), creditledger.DebitParams{UserID: uuid.New(), Amount: 1})
	require.ErrorIs(t, err, creditledger.ErrUserNotFound, "and is not taken for an account that there is not")
	require.Empty(t, blocked)

	unlock()
	require.NoError(t, errors.Join(<-blocked, <-blocked))
	require.Equal(t, int64(8), b.balance(t).Balance)
	require.Equal(t, int64(7), other.balance(t).Balance)
}

// Nor does it hold up what came with its requests in one batch, or was answered before.
func TestPoster_LockedAccountInABatch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.fork(t)
	b.grant(t, creditledger.GrantParams{Amount: 10})
	other.grant(t, creditledger.GrantParams{Amount: 10})
	debit := func(r creditledger.Request, userID uuid.UUID) <-chan error {
		done := make(chan error, 1)
		go func() {
			_, err := b.ledger.Debit(t.Context(), r, creditledger.DebitParams{UserID: userID, Amount: 1})
			done <- err
		}()
		return done
	}
	known := b.request()
	require.NoError(t, <-debit(known, b.userID))
	unlock := b.lockAccount(t, b.userID)

	// They wait together for a batch that takes its time.
	begun, proceed := make(chan struct{}), make(chan struct{})
	slow := b.request()
	slow.Refusal = func(e *apperr.Error) (int, []byte) { close(begun); <-proceed; return refusal(e) }
	first := debit(slow, uuid.New())
	<-begun
	blocked, again, free := debit(b.request(), b.userID), debit(known, b.userID), debit(b.request(), other.userID)
	require.Eventually(t, func() bool { return b.ledger.Queued() == 3 }, 30*time.Second, time.Millisecond)
	close(proceed)
	require.ErrorIs(t, <-first, creditledger.ErrUserNotFound)
	require.NoError(t, errors.Join(<-again, <-free))
	require.Empty(t, blocked)
	unlock()
	require.NoError(t, <-blocked)
	require.Equal(t, int64(8), b.balance(t).Balance)
}

// It ends when the lock takes too long, and the account works again afterwards.
func TestPoster_LockTimeout(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 10})
	config := b.db.Pool.Config()
	config.ConnConfig.RuntimeParams["lock_timeout"] = "50ms"
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer pool.Close()
	ledger := creditledger.New(pool, creditledger.Options{Now: b.clock.Now})
	unlock := b.lockAccount(t, b.userID)
	r, params := b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 1}
	_, err = ledger.Debit(t.Context(), r, params)
	require.Equal(t, apperr.Unavailable, apperr.From(err).Kind)
	require.ErrorContains(t, err, "lock timeout")
	unlock()
	got, err := ledger.Debit(t.Context(), r, params)
	require.NoError(t, err)
	require.False(t, got.Replayed)
}

// What fails in a batch fails alone.
func TestPoster_NeighboursOfAFault(t *testing.T) {
	t.Parallel()
	b := setup(t)
	faulty, locked := b.fork(t), b.fork(t)
	b.grant(t, creditledger.GrantParams{Amount: 100})
	locked.grant(t, creditledger.GrantParams{Amount: 100})
	unlock := locked.lockAccount(t, locked.userID)

	// They wait together behind a batch that waits.
	var first error
	started := make(chan struct{})
	go func() {
		defer close(started)
		_, first = b.ledger.Transfer(t.Context(), b.request(), creditledger.TransferParams{FromUserID: locked.userID, ToUserID: b.userID, Amount: 1})
	}()
	b.requireWaiting(t, "CreditAccountLock")
	panics := b.request()
	panics.Refusal = func(*apperr.Error) (int, []byte) { panic("planted") }
	errs := make([]error, 20)
	results := make(chan int, len(errs))
	for i := range errs {
		go func() {
			switch i {
			case 7: // is refused, for want of credits
				_, errs[i] = b.ledger.Debit(t.Context(), b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 1000})
			case 13: // is refused, and its refusal fails
				_, errs[i] = b.ledger.Debit(t.Context(), panics, creditledger.DebitParams{UserID: faulty.userID, Amount: 1})
			default:
				_, errs[i] = b.ledger.Debit(t.Context(), b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 1})
			}
			results <- i
		}()
	}
	unlock()
	for range errs {
		<-results
	}
	<-started
	require.NoError(t, first)
	for i, err := range errs {
		switch i {
		case 7:
			require.ErrorIs(t, err, creditledger.ErrInsufficientCredits)
		case 13:
			require.Equal(t, apperr.Internal, apperr.From(err).Kind)
			require.ErrorContains(t, err, "planted")
		default:
			require.NoError(t, err)
		}
	}
	require.Equal(t, int64(101-18), b.balance(t).Balance)
}

// Requests that wait for a commit are committed together.
func TestPoster_CommitsTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 100})
	var batches, operations atomic.Int64
	ledger := creditledger.New(b.db.Pool, creditledger.Options{Now: b.clock.Now, Observe: func(_ context.Context, s creditledger.BatchStats) {
		batches.Add(1)
		operations.Add(int64(s.Operations))
	}})
	unlock := b.lockAccount(t, b.userID)
	errs := make(chan error, 50)
	debit := func() {
		_, err := ledger.Debit(t.Context(), b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 1})
		errs <- err
	}
	go debit()
	b.requireWaiting(t, "CreditAccountLock")
	for range 49 {
		go debit()
	}
	unlock()
	for range 50 {
		require.NoError(t, <-errs)
	}
	require.Equal(t, int64(50), operations.Load())
	require.Less(t, batches.Load(), int64(50))
	require.Equal(t, int64(50), b.balance(t).Balance)
}

// A request for many operations weighs as many in the queue.
func TestPoster_BulkWeighs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	unlock := b.lockAccount(t, b.userID)
	errs := make(chan error, 2)
	bulk := func(operations int) {
		_, err := b.ledger.Bulk(t.Context(), b.request(), true, slices.Repeat([]creditledger.BulkOperation{creditledger.GrantParams{UserID: b.userID, Amount: 1}}, operations))
		errs <- err
	}
	go bulk(1)
	b.requireWaiting(t, "CreditAccountLock")
	go bulk(5)
	require.Eventually(t, func() bool { return b.ledger.Queued() == 5 }, 30*time.Second, time.Millisecond)
	unlock()
	require.NoError(t, errors.Join(<-errs, <-errs))
	require.Zero(t, b.ledger.Queued())
}

// What is said of a batch is what was in it.
func TestPoster_Observe(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.fork(t)
	var got creditledger.BatchStats
	ledger := creditledger.New(b.db.Pool, creditledger.Options{Now: b.clock.Now, Observe: func(_ context.Context, s creditledger.BatchStats) { got = s }})
	observed := func(want creditledger.BatchStats) {
		t.Helper()
		require.Positive(t, got.Waited)
		require.Positive(t, got.Took)
		require.Empty(t, cmp.Diff(want, got, cmpopts.IgnoreFields(got, "Waited", "Took"), cmpopts.EquateEmpty()))
	}

	_, err := ledger.Grant(t.Context(), b.request(), creditledger.GrantParams{UserID: b.userID, Amount: 10})
	require.NoError(t, err)
	observed(creditledger.BatchStats{Operations: 1, Accounts: 1, Posted: map[creditledger.TransactionType]int{creditledger.TypeGrant: 1}})
	_, err = ledger.Transfer(t.Context(), b.request(), creditledger.TransferParams{FromUserID: b.userID, ToUserID: other.userID, Amount: 1})
	require.NoError(t, err)
	observed(creditledger.BatchStats{Operations: 1, Accounts: 2, Posted: map[creditledger.TransactionType]int{
		creditledger.TypeTransferOut: 1, creditledger.TypeTransferIn: 1,
	}})
	_, err = ledger.Hold(t.Context(), b.request(), creditledger.HoldParams{UserID: b.userID, Amount: 1, ExpiresIn: time.Hour})
	require.NoError(t, err)
	observed(creditledger.BatchStats{Operations: 1, Accounts: 1, HoldEvents: map[creditledger.HoldEventType]int{creditledger.EventPlaced: 1}})
	_, err = ledger.Debit(t.Context(), b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 100})
	require.Error(t, err)
	observed(creditledger.BatchStats{Operations: 1, Accounts: 1})
}

// A connection that breaks in the middle leaves each request done once.
func TestPoster_ConnectionBreaks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 100})
	unlock := b.lockAccount(t, b.userID)
	done := make(chan error, 1)
	go func() {
		_, err := b.ledger.Debit(t.Context(), b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 1})
		done <- err
	}()
	for range 2 { // it is tried again
		b.requireWaiting(t, "CreditAccountLock")
		_, err := b.db.Owner(t).Exec(t.Context(), `
			SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
		require.NoError(t, err)
	}
	unlock()
	require.NoError(t, <-done)
	require.Equal(t, int64(99), b.balance(t).Balance)
}

// What may pass by itself is tried again, four times in all, and applied once.
func TestPoster_TriesAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	owner := b.db.Owner(t)
	_, err := owner.Exec(t.Context(), `
		CREATE SEQUENCE tries;
		CREATE TABLE failing AS SELECT 0 AS tries;
		CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
		BEGIN
			IF nextval('tries') <= (SELECT tries FROM failing) THEN
				RAISE EXCEPTION 'planted' USING ERRCODE = '40001';
			END IF;
			RETURN NEW;
		END $$;
		CREATE TRIGGER planted BEFORE UPDATE ON credit_accounts FOR EACH ROW EXECUTE FUNCTION fail()`)
	require.NoError(t, err)
	tries := func(failing int) (made int, err error) {
		_, err = owner.Exec(t.Context(), "SELECT setval('tries', 1, false)")
		require.NoError(t, err)
		_, err = owner.Exec(t.Context(), "UPDATE failing SET tries = $1", failing)
		require.NoError(t, err)
		_, asked := b.ledger.Grant(t.Context(), b.request(), creditledger.GrantParams{UserID: b.userID, Amount: 1})
		require.NoError(t, owner.QueryRow(t.Context(), "SELECT last_value FROM tries").Scan(&made))
		return made, asked
	}
	made, err := tries(3)
	require.NoError(t, err)
	require.Equal(t, 4, made)
	made, err = tries(4)
	require.Equal(t, apperr.Unavailable, apperr.From(err).Kind)
	require.Equal(t, 4, made)
	require.Equal(t, int64(1), b.balance(t).Balance)
}

// Transfers in both directions, on two replicas, end without a deadlock.
func TestPoster_TransfersBothWays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.fork(t)
	b.grant(t, creditledger.GrantParams{Amount: 1000})
	other.grant(t, creditledger.GrantParams{Amount: 1000})
	replicas := []*creditledger.Ledger{b.ledger, creditledger.New(b.db.Pool, creditledger.Options{Now: b.clock.Now})}
	errs := make([]error, 100)
	atOnce(len(errs), func(i int) {
		p := creditledger.TransferParams{FromUserID: b.userID, ToUserID: other.userID, Amount: 3}
		if i%2 == 0 {
			p.FromUserID, p.ToUserID, p.Amount = p.ToUserID, p.FromUserID, 2
		}
		_, errs[i] = replicas[i/2%2].Transfer(t.Context(), b.request(), p)
	})
	require.NoError(t, errors.Join(errs...))
	require.Equal(t, int64(1000-50), b.balance(t).Balance)
	require.Equal(t, int64(1000+50), other.balance(t).Balance)
}

// Users are told in the transaction of what they are told of.
func TestPoster_Notify(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var told []creditledger.Notice
	fail := false
	ledger := creditledger.New(b.db.Pool, creditledger.Options{Now: b.clock.Now, LowBalance: 50, Notify: func(ctx context.Context, tx pgx.Tx, notices []creditledger.Notice) error {
		if _, err := tx.Exec(ctx, "SELECT 1"); err != nil || fail {
			return errors.Join(err, errors.New("the queue is broken"))
		}
		told = append(told, notices...)
		return nil
	}})
	_, err := ledger.Grant(t.Context(), b.request(), creditledger.GrantParams{UserID: b.userID, Amount: 100})
	require.NoError(t, err)
	for _, amount := range []int64{50, 1, 1} { // at the threshold, below it, and further below
		_, err = ledger.Debit(t.Context(), b.request(), creditledger.DebitParams{UserID: b.userID, Amount: amount})
		require.NoError(t, err)
	}
	require.Equal(t, []creditledger.Notice{
		{UserID: b.userID, Granted: 100, Balance: 100},
		{UserID: b.userID, Balance: 49, Low: true},
	}, told)

	fail = true
	r := b.request()
	_, err = ledger.Grant(t.Context(), r, creditledger.GrantParams{UserID: b.userID, Amount: 100})
	require.ErrorContains(t, err, "the queue is broken")
	require.False(t, b.isKept(t, r))
	require.Equal(t, int64(48), b.balance(t).Balance)
}

// together has requests wait for one account, and so be posted in one batch, in their order.
func (b *bundle) together(t *testing.T, ledger *creditledger.Ledger, requests ...func() error) []error {
	t.Helper()
	unlock := b.lockAccount(t, b.userID)
	first := make(chan error, 1)
	go func() {
		_, err := ledger.Grant(t.Context(), b.request(), creditledger.GrantParams{UserID: b.userID, Amount: 1})
		first <- err
	}()
	b.requireWaiting(t, "CreditAccountLock")
	errs := make([]error, len(requests))
	var all sync.WaitGroup
	for i, request := range requests {
		all.Go(func() { errs[i] = request() })
		// It queues behind the account that is waited for.
		require.Eventually(t, func() bool { return ledger.Queued() == i+1 }, 30*time.Second, time.Millisecond)
	}
	unlock()
	all.Wait()
	require.NoError(t, <-first)
	return errs
}

// A batch that the database refuses is posted in parts: what is refused fails alone.
func TestPoster_PostedInParts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	broken := b.fork(t)
	b.grant(t, creditledger.GrantParams{Amount: 100})
	broken.grant(t, creditledger.GrantParams{Amount: 100})
	// The database itself refuses a change of this account.
	owner := b.db.Owner(t)
	_, err := owner.Exec(t.Context(), fmt.Sprintf("ALTER TABLE credit_accounts ADD CONSTRAINT planted CHECK (user_id <> '%s') NOT VALID", broken.userID))
	require.NoError(t, err)
	var operations, batches atomic.Int64
	ledger := creditledger.New(b.db.Pool, creditledger.Options{Now: b.clock.Now, Observe: func(_ context.Context, s creditledger.BatchStats) {
		batches.Add(1)
		operations.Add(int64(s.Operations))
	}})
	requests := make([]func() error, 9)
	for i := range requests {
		p := creditledger.DebitParams{UserID: b.userID, Amount: 1}
		if i == 4 {
			// Of both accounts, so that it is posted with the others.
			requests[i] = func() error {
				_, err := ledger.Transfer(t.Context(), b.request(), creditledger.TransferParams{FromUserID: b.userID, ToUserID: broken.userID, Amount: 1})
				return err
			}
			continue
		}
		requests[i] = func() error { _, err := ledger.Debit(t.Context(), b.request(), p); return err }
	}
	for i, err := range b.together(t, ledger, requests...) {
		if i == 4 {
			require.Equal(t, apperr.Internal, apperr.From(err).Kind)
		} else {
			require.NoError(t, err)
		}
	}
	require.Greater(t, batches.Load(), int64(2), "they were one batch, which was split")
	require.Equal(t, int64(100+1-8), b.balance(t).Balance)
	_, err = owner.Exec(t.Context(), "ALTER TABLE credit_accounts DROP CONSTRAINT planted")
	require.NoError(t, err)
}

// What was answered before is no end to the batch that it is in.
func TestPoster_ReplayAmongNeighbours(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 100})
	known, params := b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 10}
	_, err := b.ledger.Debit(t.Context(), known, params)
	require.NoError(t, err)
	other := known
	other.Fingerprint[0]++
	ask := func(r creditledger.Request) func() error {
		return func() error { _, err := b.ledger.Debit(t.Context(), r, params); return err }
	}
	errs := b.together(t, b.ledger, ask(b.request()), ask(known), ask(b.request()), ask(other), ask(b.request()))
	for i, err := range errs {
		if i == 3 {
			require.ErrorIs(t, err, creditledger.ErrKeyReused)
		} else {
			require.NoError(t, err)
		}
	}
	b.requireBalance(t, 100+1-4*10, 0)
}

// In one batch a transaction is undone once, too.
func TestPoster_UndoneTwiceInOneBatch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 100})
	debited, err := b.debit(t, 10)
	require.NoError(t, err)
	var largest atomic.Int64
	ledger := creditledger.New(b.db.Pool, creditledger.Options{Now: b.clock.Now, Observe: func(_ context.Context, s creditledger.BatchStats) {
		largest.Store(max(largest.Load(), int64(s.Operations)))
	}})
	undo := func() error {
		_, err := ledger.Reverse(t.Context(), b.request(), debited.ID, creditledger.ReversalParams{})
		return err
	}
	done := 0
	for _, err := range b.together(t, ledger, undo, undo, undo) {
		if err == nil {
			done++
		} else {
			require.ErrorIs(t, err, creditledger.ErrAlreadyReversed)
		}
	}
	require.Equal(t, 1, done)
	require.Equal(t, int64(3), largest.Load())
	require.Equal(t, int64(101), b.balance(t).Balance)
}
