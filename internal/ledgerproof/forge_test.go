package ledgerproof

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// forger is an attacker who owns the tables and knows the encoding of the chain.
type forger struct {
	*vault
	t  *testing.T
	tx pgx.Tx
}

// forge tampers in a transaction that is undone. Checkpoints are gone, so that
// nothing but the records themselves gives the forger away.
func (v *vault) forge(t *testing.T, do func(*forger)) {
	t.Helper()
	tx, err := v.conn.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(context.Background())
	f := &forger{vault: v, t: t, tx: tx}
	f.exec("DELETE FROM ledger_checkpoint_heads")
	f.exec("DELETE FROM ledger_checkpoints")
	do(f)
}

// exec runs SQL, which must change something. {ada} stands for Ada's id, and so on.
func (f *forger) exec(sql string, args ...any) {
	f.t.Helper()
	for name, id := range map[string]uuid.UUID{"{ada}": f.ada, "{bob}": f.bob, "{cy}": f.cy, "{dan}": f.dan, "{eve}": f.eve} {
		sql = strings.ReplaceAll(sql, name, "'"+id.String()+"'")
	}
	tag, err := f.tx.Exec(f.t.Context(), sql, args...)
	require.NoError(f.t, err, sql)
	require.Positive(f.t, tag.RowsAffected(), sql)
}

// one reads a value.
func one[V any](f *forger, sql string, args ...any) (v V) {
	f.t.Helper()
	sql = strings.ReplaceAll(sql, "{ada}", "'"+f.ada.String()+"'")
	require.NoError(f.t, f.tx.QueryRow(f.t.Context(), sql, args...).Scan(&v), sql)
	return v
}

// rechain makes the hashes of an account's records anew, and its row fit them.
func (f *forger) rechain(userID uuid.UUID) {
	f.t.Helper()
	ctx, r := f.t.Context(), reader{dbgen.New(), f.tx, pageSize}
	transactions, err := readTransactions(ctx, r, transaction{})
	require.NoError(f.t, err)
	events, err := readEvents(ctx, r, event{})
	require.NoError(f.t, err)
	grants, err := readGrants(ctx, r, grant{})
	require.NoError(f.t, err)
	transactions = slices.DeleteFunc(transactions, func(t transaction) bool { return t.UserID != userID })
	events = slices.DeleteFunc(events, func(e event) bool { return e.UserID != userID })

	var (
		head                      [32]byte
		balance, sequence, number int64
		updated                   time.Time
	)
	fingerprint := func(r *record) (print []byte) {
		if r.key == nil {
			return nil
		}
		err := f.tx.QueryRow(ctx, "SELECT fingerprint FROM idempotency_keys WHERE caller_id = $1 AND key = $2", caller(r.actorID), *r.key).Scan(&print)
		if !errors.Is(err, pgx.ErrNoRows) {
			require.NoError(f.t, err)
		}
		return print
	}
	for len(transactions)+len(events) > 0 {
		if len(events) == 0 || len(transactions) > 0 && !transactions[0].at.After(events[0].at) {
			t := &transactions[0]
			transactions = transactions[1:]
			t.fingerprint = fingerprint(&t.record)
			for i := range grants {
				if grants[i].UserID == userID && grants[i].Sequence == t.Sequence {
					t.made = append(t.made, &grants[i].CreditGrant)
				}
			}
			head = t.rehash(head)
			balance, sequence, updated = t.BalanceAfter, t.Sequence, t.at
			f.exec("UPDATE credit_transactions SET hash = $3 WHERE user_id = $1 AND sequence = $2", userID, t.Sequence, head[:])
			continue
		}
		e := &events[0]
		events = events[1:]
		e.fingerprint = fingerprint(&e.record)
		head = e.rehash(head)
		number, updated = e.Number, e.at
		f.exec("UPDATE credit_hold_events SET hash = $3 WHERE user_id = $1 AND number = $2", userID, e.Number, head[:])
	}
	f.exec("UPDATE credit_accounts SET head_hash = $2, balance = $3, sequence = $4, hold_events = $5, updated_at = $6 WHERE user_id = $1", userID, head[:], balance, sequence, number, updated)
}

// shift changes all balances of an account from a transaction on.
func (f *forger) shift(userID uuid.UUID, from, by int64) {
	f.t.Helper()
	_, err := f.tx.Exec(f.t.Context(), "UPDATE credit_transactions SET balance_after = balance_after + $3 WHERE user_id = $1 AND sequence >= $2", userID, from, by)
	require.NoError(f.t, err)
	f.exec("UPDATE credit_accounts SET balance = balance + $2 WHERE user_id = $1", userID, by)
}

// remove takes a transaction out of an account as if it had never been.
func (f *forger) remove(userID uuid.UUID, sequence int64) {
	f.t.Helper()
	amount := one[int64](f, "SELECT amount FROM credit_transactions WHERE user_id = $1 AND sequence = $2", userID, sequence)
	_, err := f.tx.Exec(f.t.Context(), "DELETE FROM idempotency_keys WHERE user_id = $1 AND sequence = $2", userID, sequence)
	require.NoError(f.t, err)
	f.exec("DELETE FROM credit_transactions WHERE user_id = $1 AND sequence = $2", userID, sequence)
	for _, table := range []string{"credit_transactions", "credit_transaction_notes", "credit_grants", "idempotency_keys"} {
		for _, by := range []int64{1000, -1001} { // by way of numbers that nothing has
			_, err := f.tx.Exec(f.t.Context(), "UPDATE "+table+" SET sequence = sequence + $3 WHERE user_id = $1 AND sequence > $2", userID, sequence, by)
			require.NoError(f.t, err)
		}
	}
	f.exec("UPDATE credit_accounts SET sequence = sequence - 1 WHERE user_id = $1", userID)
	f.shift(userID, sequence, -amount)
	f.rechain(userID)
}

// forged is a transaction that never happened.
type forged struct {
	kind                            creditledger.TransactionType
	amount                          int64
	burned                          []creditledger.Burn
	hold, reverses, grant, transfer *uuid.UUID
	key                             *string       // that of another; nil for one of its own
	after                           time.Duration // the record before it; 0 for a second
	unasked                         bool
}

// add appends a transaction to an account, with a key that names it. Grants
// stay as they are.
func (f *forger) add(userID uuid.UUID, x forged) {
	f.t.Helper()
	at := one[time.Time](f, "SELECT updated_at FROM credit_accounts WHERE user_id = $1", userID).Add(max(x.after, time.Second))
	sequence := one[int64](f, "SELECT sequence + 1 FROM credit_accounts WHERE user_id = $1", userID)
	balance := one[int64](f, "SELECT balance FROM credit_accounts WHERE user_id = $1", userID) + x.amount
	actorType, actorID, key := "api_key", &f.caller.ID, x.key
	if x.unasked {
		actorType, actorID = "system", nil
	} else if key == nil {
		key = ptr("forged-" + uuid.NewString())
		names, number, status := "sequence", sequence, 201
		if x.kind == creditledger.TypeCapture {
			names, number, status = "hold_event", one[int64](f, "SELECT hold_events + 1 FROM credit_accounts WHERE user_id = $1", userID), 200
		}
		f.exec("INSERT INTO idempotency_keys (caller_id, key, fingerprint, user_id, "+names+", status, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
			actorID, *key, make([]byte, 32), userID, number, status, at)
	}
	burned := "[]"
	if len(x.burned) > 0 {
		var parts []string
		for _, b := range x.burned {
			parts = append(parts, fmt.Sprintf(`{"grant_id": %q, "amount": %d}`, b.GrantID, b.Amount))
		}
		burned = "[" + strings.Join(parts, ",") + "]"
	}
	f.exec(`INSERT INTO credit_transactions (user_id, sequence, id, type, amount, balance_after, hold_id, reverses_id, grant_id, transfer_id, burned, actor_type, actor_id, idempotency_key, hash, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::jsonb, $12, $13, $14, $15, $16)`,
		userID, sequence, pgdb.IDAt(at, uuid.New()), string(x.kind), x.amount, balance, x.hold, x.reverses, x.grant, x.transfer, burned, actorType, actorID, key, make([]byte, 32), at)
	f.exec("UPDATE credit_accounts SET balance = $2, sequence = $3, updated_at = $4 WHERE user_id = $1", userID, balance, sequence, at)
	f.rechain(userID)
}

// open is a grant of Ada's that has something free, the next to burn.
func (f *forger) open() uuid.UUID {
	return one[uuid.UUID](f, "SELECT id FROM credit_grants WHERE user_id = {ada} AND open ORDER BY priority, expires_at, sequence LIMIT 1")
}

func (f *forger) transactionOf(condition string) uuid.UUID {
	return one[uuid.UUID](f, "SELECT id FROM credit_transactions WHERE "+condition+" ORDER BY user_id = {ada} DESC, user_id, sequence LIMIT 1")
}

// The forger's tools forge nothing by themselves: what they leave out is sound.
func TestForger(t *testing.T) {
	t.Parallel()
	v := breakIn(t)
	v.forge(t, func(f *forger) {
		for _, id := range []uuid.UUID{f.ada, f.bob, f.cy, f.eve} {
			f.rechain(id)
		}
		from := f.open()
		f.add(f.ada, forged{kind: creditledger.TypeDebit, amount: -1, burned: []creditledger.Burn{{GrantID: from, Amount: 1}}})
		f.exec("UPDATE credit_grants SET remaining = remaining - 1 WHERE id = $1", from)
		require.NoError(t, prove(t, f.tx, Options{}))
	})
}

func TestTamper_WithNewHashes(t *testing.T) {
	t.Parallel()
	v := breakIn(t)
	for name, attack := range map[string]struct {
		words string // of what is found
		do    func(*forger)
	}{
		// Credits from nowhere.
		"GrantEnlarged": {"it granted 1000 as grant", func(f *forger) {
			f.exec("UPDATE credit_grants SET amount = amount + 100, remaining = remaining + 100 WHERE user_id = {ada} AND sequence = 1")
			f.rechain(f.ada)
		}},
		"GrantAndItsTransactionEnlarged": {"it says that the balance is 1000 after it, but it is 1100", func(f *forger) {
			f.exec("UPDATE credit_grants SET amount = amount + 100, remaining = remaining + 100 WHERE user_id = {ada} AND sequence = 1")
			f.exec("UPDATE credit_transactions SET amount = amount + 100 WHERE user_id = {ada} AND sequence = 1")
			f.rechain(f.ada)
		}},
		"GrantRefilled": {"it should have", func(f *forger) {
			f.exec("UPDATE credit_grants SET remaining = remaining + 1 WHERE id = $1", f.open())
			f.rechain(f.ada)
		}},
		"BalanceRaised": {"it says that the balance is", func(f *forger) {
			f.shift(f.ada, 5, 100)
			f.rechain(f.ada)
		}},
		"DebitMadeSmaller": {"it burned", func(f *forger) {
			f.exec("UPDATE credit_transactions SET amount = -1 WHERE user_id = {ada} AND sequence = 5")
			f.shift(f.ada, 5, 149)
			f.rechain(f.ada)
		}},
		"GrantWithoutATransaction": {"no transaction has made it", func(f *forger) {
			f.exec("INSERT INTO credit_grants (user_id, id, sequence, amount, remaining, priority, created_at) VALUES ({ada}, gen_random_uuid(), 1000, 5, 5, 50, now())")
		}},
		// What burned.
		"BurnDropped": {"it burned nothing, but the next to burn were", func(f *forger) {
			f.exec("UPDATE credit_transactions SET burned = '[]' WHERE user_id = {ada} AND sequence = 5")
			f.rechain(f.ada)
		}},
		"BurnedInAnotherOrder": {"but the next to burn were", func(f *forger) {
			f.exec("UPDATE credit_transactions SET burned = jsonb_build_array(burned->1, burned->0) WHERE user_id = {ada} AND sequence = 5")
			f.rechain(f.ada)
		}},
		"BurnedFromAnotherGrant": {"but the next to burn were", func(f *forger) {
			f.exec("UPDATE credit_transactions SET burned = jsonb_set(burned, '{0,grant_id}', to_jsonb((SELECT grant_id FROM credit_transactions WHERE user_id = {ada} AND sequence = 1))) WHERE user_id = {ada} AND sequence = 5")
			f.rechain(f.ada)
		}},
		"BurnedFromAnothersGrant": {"but the next to burn were", func(f *forger) {
			bobs := one[uuid.UUID](f, "SELECT id FROM credit_grants WHERE user_id = $1 AND open LIMIT 1", f.bob)
			f.add(f.ada, forged{kind: creditledger.TypeDebit, amount: -1, burned: []creditledger.Burn{{GrantID: bobs, Amount: 1}}})
		}},
		"SpentWhatIsHeld": {"were available", func(f *forger) {
			free := one[int64](f, "SELECT balance - held FROM credit_accounts WHERE user_id = {ada}")
			f.exec("UPDATE credit_accounts SET held = 0 WHERE user_id = {ada}")
			f.add(f.ada, forged{kind: creditledger.TypeDebit, amount: -free - 1, burned: []creditledger.Burn{{GrantID: f.open(), Amount: free + 1}}})
		}},
		// Holds.
		"HoldCapturedTwice": {"is not active: it was never placed, or has ended", func(f *forger) {
			ended := one[uuid.UUID](f, "SELECT id FROM credit_holds WHERE user_id = {ada} AND status = 'captured'")
			f.add(f.ada, forged{kind: creditledger.TypeCapture, amount: -1, hold: &ended, burned: []creditledger.Burn{{GrantID: f.open(), Amount: 1}}})
		}},
		"CapturedMoreThanWasHeld": {"it captures 13, but only 12 of hold", func(f *forger) {
			active := one[uuid.UUID](f, "SELECT id FROM credit_holds WHERE user_id = $1 AND status = 'active'", f.bob)
			pinned := one[uuid.UUID](f, "SELECT (pinned->0->>'grant_id')::uuid FROM credit_holds WHERE id = $1", active)
			f.add(f.bob, forged{kind: creditledger.TypeCapture, amount: -13, hold: &active, burned: []creditledger.Burn{{GrantID: pinned, Amount: 13}}})
		}},
		"CapturedFromAnotherGrant": {"but the hold pins", func(f *forger) {
			f.exec("UPDATE credit_transactions SET burned = jsonb_set(burned, '{0,grant_id}', to_jsonb($1::text)) WHERE user_id = {ada} AND type = 'capture' AND amount = -40", f.open())
			f.rechain(f.ada)
		}},
		"CaptureOfAnotherText": {"its text is not that of hold", func(f *forger) {
			salt, text := make([]byte, 16), "for the winter"
			sequence := one[int64](f, "SELECT sequence FROM credit_transactions WHERE user_id = {ada} AND type = 'capture' AND amount = -40")
			f.exec("UPDATE credit_transaction_notes SET salt = $2, description = $3, metadata = NULL WHERE user_id = {ada} AND sequence = $1", sequence, salt, text)
			f.exec("UPDATE credit_transactions SET note_digest = $2 WHERE user_id = {ada} AND sequence = $1", sequence, creditledger.NoteDigest(salt, creditledger.Note{Description: &text}))
			f.rechain(f.ada)
		}},
		"CaptureWithoutItsEvent": {"the event of the hold that it captures is missing", func(f *forger) {
			active := one[uuid.UUID](f, "SELECT id FROM credit_holds WHERE user_id = $1 AND status = 'active'", f.bob)
			pinned := one[uuid.UUID](f, "SELECT (pinned->0->>'grant_id')::uuid FROM credit_holds WHERE id = $1", active)
			f.add(f.bob, forged{kind: creditledger.TypeCapture, amount: -1, hold: &active, burned: []creditledger.Burn{{GrantID: pinned, Amount: 1}}})
		}},
		"HoldMadeSmaller": {"but should 10 of grant", func(f *forger) {
			f.exec("UPDATE credit_holds SET amount = 10 WHERE user_id = {ada} AND status = 'active'")
			f.exec("UPDATE credit_hold_events SET amount = 10 WHERE user_id = {ada} AND number = (SELECT max(number) FROM credit_hold_events WHERE user_id = {ada})")
			f.rechain(f.ada)
		}},
		"HoldPinsLess": {"it pinned or let go of", func(f *forger) {
			f.exec("UPDATE credit_hold_events SET pinned = jsonb_set(pinned, '{0,amount}', '1') WHERE user_id = {ada} AND type = 'voided' AND amount = 50")
			f.rechain(f.ada)
		}},
		"HoldEndedAndStillThere": {"it pinned or let go of", func(f *forger) {
			f.exec("UPDATE credit_hold_events SET status = 'active' WHERE user_id = {ada} AND type = 'captured' AND status = 'captured'")
			f.rechain(f.ada)
		}},
		"HoldExpiresLater": {"its expiry or its reference is not that of hold", func(f *forger) {
			f.exec("UPDATE credit_hold_events SET expires_at = expires_at + interval '1 hour' WHERE user_id = {ada} AND type = 'placed' AND number = 7")
			f.rechain(f.ada)
		}},
		"HoldExpiredBeforeItsTime": {"the hold was to expire at", func(f *forger) {
			f.exec("UPDATE credit_hold_events SET type = 'expired', status = 'expired', actor_type = 'system', actor_id = NULL, idempotency_key = NULL WHERE user_id = {ada} AND type = 'voided' AND amount = 50")
			f.exec("UPDATE credit_holds SET status = 'expired' WHERE user_id = {ada} AND status = 'voided' AND amount = 50")
			f.exec("DELETE FROM idempotency_keys k WHERE k.user_id = {ada} AND k.hold_event = (SELECT number FROM credit_hold_events WHERE user_id = {ada} AND type = 'expired' AND amount = 50)")
			f.rechain(f.ada)
		}},
		"HeldAfterForged": {"are held after it, but it is", func(f *forger) {
			f.exec("UPDATE credit_hold_events SET held_after = held_after + 1 WHERE user_id = {ada} AND number = 1")
			f.rechain(f.ada)
		}},
		"CaptureOfAnotherReference": {"its reference or text is not that of hold", func(f *forger) {
			f.exec("UPDATE credit_transactions SET reference = 'ride-9' WHERE user_id = {ada} AND type = 'capture'")
			f.rechain(f.ada)
		}},
		// Reversals.
		"ReversedAboveTheOriginal": {"it gives back 16, but only 15 of transaction", func(f *forger) {
			undone := f.transactionOf("type = 'capture' AND amount = -40")
			from := one[uuid.UUID](f, "SELECT (burned->0->>'grant_id')::uuid FROM credit_transactions WHERE id = $1", undone)
			f.add(f.ada, forged{kind: creditledger.TypeReversal, amount: 16, reverses: &undone, burned: []creditledger.Burn{{GrantID: from, Amount: -16}}})
		}},
		"ReversalMadeLarger": {"it gives back 151, but only 150 of transaction 5 are left to undo", func(f *forger) {
			f.exec("UPDATE credit_transactions SET amount = 151 WHERE user_id = {ada} AND sequence = 6")
			f.rechain(f.ada)
		}},
		"ReversalToAnotherGrant": {"but should have given back", func(f *forger) {
			f.exec("UPDATE credit_transactions SET burned = jsonb_build_array(burned->1, burned->0) WHERE user_id = {ada} AND sequence = 6")
			f.rechain(f.ada)
		}},
		"ReversalOfATransfer": {"a transfer_out, which cannot be undone", func(f *forger) {
			out := f.transactionOf("type = 'transfer_out'")
			f.add(f.ada, forged{kind: creditledger.TypeReversal, amount: 1, reverses: &out, burned: []creditledger.Burn{{GrantID: f.open(), Amount: -1}}})
		}},
		"ReversalOfAnothersDebit": {"which did not happen in this account before", func(f *forger) {
			debit := one[uuid.UUID](f, "SELECT id FROM credit_transactions WHERE user_id <> {ada} AND type = 'debit' LIMIT 1")
			f.add(f.ada, forged{kind: creditledger.TypeReversal, amount: 1, reverses: &debit, burned: []creditledger.Burn{{GrantID: f.open(), Amount: -1}}})
		}},
		"ReversalOfNothing": {"which did not happen in this account before", func(f *forger) {
			f.add(f.ada, forged{kind: creditledger.TypeReversal, amount: 1, reverses: ptr(uuid.New()), burned: []creditledger.Burn{{GrantID: f.open(), Amount: -1}}})
		}},
		"GrantTakenBackTwice": {"it takes back 951, but only 950 of transaction 1 are left to undo", func(f *forger) {
			grant := f.transactionOf("user_id = {ada} AND sequence = 1")
			of := one[uuid.UUID](f, "SELECT grant_id FROM credit_transactions WHERE id = $1", grant)
			f.exec("UPDATE credit_accounts SET balance = balance + 1000 WHERE user_id = {ada}")
			f.add(f.ada, forged{kind: creditledger.TypeReversal, amount: -951, reverses: &grant, burned: []creditledger.Burn{{GrantID: of, Amount: 951}}})
		}},
		"GrantTakenBackWhenSpent": {"less than that was free of grant", func(f *forger) {
			grant := f.transactionOf("user_id = {ada} AND sequence = 2")
			of := one[uuid.UUID](f, "SELECT grant_id FROM credit_transactions WHERE id = $1", grant)
			f.add(f.ada, forged{kind: creditledger.TypeReversal, amount: -1, reverses: &grant, burned: []creditledger.Burn{{GrantID: of, Amount: 1}}})
		}},
		// Expiry and revocation.
		"ExpiredBeforeItsTime": {"had neither expired nor been revoked", func(f *forger) {
			grant := f.open()
			left := one[int64](f, "SELECT remaining - held FROM credit_grants WHERE id = $1", grant)
			f.add(f.ada, forged{kind: creditledger.TypeExpiry, amount: -left, grant: &grant, unasked: true, burned: []creditledger.Burn{{GrantID: grant, Amount: left}}})
		}},
		"RevokedByNobody": {"had neither expired nor been revoked", func(f *forger) {
			grant := f.open()
			left := one[int64](f, "SELECT remaining - held FROM credit_grants WHERE id = $1", grant)
			f.add(f.ada, forged{kind: creditledger.TypeRevocation, amount: -left, grant: &grant, unasked: true, burned: []creditledger.Burn{{GrantID: grant, Amount: left}}})
			f.exec("UPDATE credit_grants SET revoked_at = (SELECT updated_at FROM credit_accounts WHERE user_id = {ada}) WHERE id = $1", grant)
		}},
		"ExpiryUndone": {"and what was left of it, 40, was not taken out", func(f *forger) {
			f.remove(f.ada, one[int64](f, "SELECT sequence FROM credit_transactions WHERE user_id = {ada} AND type = 'expiry' AND amount = -40"))
			f.exec("UPDATE credit_grants SET remaining = 40, expired = 0 WHERE user_id = {ada} AND amount = 40")
			// What came next was asked for a moment before it was recorded.
			f.exec("UPDATE idempotency_keys k SET created_at = e.created_at FROM credit_hold_events e WHERE e.user_id = {ada} AND e.type = 'voided' AND e.amount > 100 AND k.key = e.idempotency_key")
		}},
		"ExpiryAskedFor": {"credits expire by themselves", func(f *forger) {
			grant := f.open()
			f.add(f.ada, forged{kind: creditledger.TypeExpiry, amount: -1, grant: &grant, burned: []creditledger.Burn{{GrantID: grant, Amount: 1}}})
		}},
		"ExpiryForAReason": {"nobody asked for it", func(f *forger) {
			f.exec("UPDATE credit_transactions SET reference = 'because' WHERE user_id = {ada} AND type = 'expiry'")
			f.rechain(f.ada)
		}},
		"RevokedInPart": {"it takes 1, 1 of grant", func(f *forger) {
			grant := f.open()
			f.add(f.ada, forged{kind: creditledger.TypeRevocation, amount: -1, grant: &grant, burned: []creditledger.Burn{{GrantID: grant, Amount: 1}}})
		}},
		"RevokedTwice": {"was left that could be revoked", func(f *forger) {
			grant := one[uuid.UUID](f, "SELECT id FROM credit_grants WHERE user_id = {ada} AND revoked_at IS NOT NULL")
			f.add(f.ada, forged{kind: creditledger.TypeRevocation, amount: -1, grant: &grant, burned: nil})
		}},
		"RevokedAtAnotherTime": {"it should have 0 remaining", func(f *forger) {
			f.exec("UPDATE credit_grants SET revoked_at = revoked_at + interval '1 hour' WHERE user_id = {ada} AND revoked_at IS NOT NULL")
		}},
		"GrantedTooLate": {"the grant had expired before it was made", func(f *forger) {
			f.exec("UPDATE credit_grants SET expires_at = created_at WHERE user_id = {ada} AND sequence = 2")
			f.rechain(f.ada)
		}},
		"ExpiryPutOff": {"but the next to burn were", func(f *forger) {
			f.exec("UPDATE credit_grants SET expires_at = expires_at + interval '10 years' WHERE user_id = {ada} AND sequence = 2")
			f.rechain(f.ada)
		}},
		"PriorityChanged": {"but the next to burn were", func(f *forger) {
			f.exec("UPDATE credit_grants SET priority = 99 WHERE user_id = {ada} AND sequence = 2")
			f.rechain(f.ada)
		}},
		// Transfers.
		"TransferEnlargedOnItsWay": {"the other half of transfer", func(f *forger) {
			f.exec("UPDATE credit_transactions SET amount = amount + 1, burned = jsonb_set(burned, '{0,amount}', to_jsonb((burned->0->>'amount')::bigint - 1)) WHERE user_id = {bob} AND type = 'transfer_in'")
			f.exec("UPDATE credit_grants g SET amount = g.amount + 1, remaining = g.remaining + 1 FROM credit_transactions t WHERE t.user_id = {bob} AND t.type = 'transfer_in' AND g.id = (t.burned->0->>'grant_id')::uuid")
			f.shift(f.bob, one[int64](f, "SELECT sequence FROM credit_transactions WHERE user_id = $1 AND type = 'transfer_in'", f.bob), 1)
			f.rechain(f.bob)
		}},
		"TransferFromNowhere": {"consists of 1 transactions, not of two", func(f *forger) {
			made := uuid.New()
			f.exec("INSERT INTO credit_grants (user_id, id, sequence, amount, remaining, priority, created_at) SELECT {bob}, $1, sequence + 1, 5, 5, 50, updated_at + interval '1 second' FROM credit_accounts WHERE user_id = {bob}", made)
			f.exec("INSERT INTO idempotency_keys (caller_id, key, fingerprint, parts, status, created_at) SELECT $1, 'transfer', $2, json_build_array(json_build_object('records', json_build_array(json_build_object('user_id', user_id, 'sequence', sequence + 1)))), 201, updated_at + interval '1 second' FROM credit_accounts WHERE user_id = {bob}", f.caller.ID, make([]byte, 32))
			f.add(f.bob, forged{kind: creditledger.TypeTransferIn, amount: 5, transfer: ptr(uuid.New()), key: ptr("transfer"), burned: []creditledger.Burn{{GrantID: made, Amount: -5}}})
		}},
		"TransferOfLessThanItSays": {"it brought 2, but its grants are of 1 together", func(f *forger) {
			f.exec("UPDATE credit_transactions SET burned = jsonb_set(burned, '{0,amount}', '1') WHERE user_id = {cy} AND type = 'transfer_out' AND amount = -2")
			f.exec("UPDATE credit_transactions SET burned = jsonb_set(burned, '{0,amount}', '-1') WHERE user_id = {ada} AND type = 'transfer_in' AND amount = 2")
			f.exec("UPDATE credit_grants g SET amount = 1 FROM credit_transactions t WHERE t.user_id = {ada} AND t.type = 'transfer_in' AND t.amount = 2 AND g.user_id = t.user_id AND g.sequence = t.sequence")
			f.rechain(f.cy)
			f.rechain(f.ada)
		}},
		"TransferOfAnotherId": {"consists of 1 transactions, not of two", func(f *forger) {
			f.exec("UPDATE credit_transactions SET transfer_id = gen_random_uuid() WHERE user_id = {bob} AND type = 'transfer_out'")
			f.rechain(f.bob)
		}},
		"TwoTransfersOfOneId": {"consists of 4 transactions, not of two", func(f *forger) {
			f.exec("UPDATE credit_transactions SET transfer_id = (SELECT transfer_id FROM credit_transactions WHERE user_id = {ada} AND type = 'transfer_out') WHERE transfer_id = (SELECT transfer_id FROM credit_transactions WHERE user_id = {bob} AND type = 'transfer_out')")
			for _, id := range []uuid.UUID{f.ada, f.bob, f.cy} {
				f.rechain(id)
			}
		}},
		"TransferredOnBetterTerms": {"has not the amount and the terms of what the sender gave", func(f *forger) {
			f.exec("UPDATE credit_grants SET expires_at = NULL WHERE user_id = {bob} AND sequence = (SELECT sequence FROM credit_transactions WHERE user_id = {bob} AND type = 'transfer_in') AND part = 0")
			f.rechain(f.bob)
		}},
		"TransferredUnderAnotherReference": {"was asked for in another way", func(f *forger) {
			f.exec("UPDATE credit_transactions SET reference = 'gift-2' WHERE user_id = {bob} AND type = 'transfer_in'")
			f.rechain(f.bob)
		}},
		"TransferUnderAKeyForOneHalf": {"does not name both halves of the transfer", func(f *forger) {
			f.exec("UPDATE idempotency_keys k SET parts = NULL, user_id = t.user_id, sequence = t.sequence FROM credit_transactions t WHERE t.user_id = {ada} AND t.type = 'transfer_out' AND t.idempotency_key = k.key")
		}},
		// What was over, and not closed.
		"SpentAfterAHoldExpired": {"had expired at", func(f *forger) {
			f.add(f.ada, forged{kind: creditledger.TypeDebit, amount: -1, after: 2000 * time.Hour, burned: []creditledger.Burn{{GrantID: f.open(), Amount: 1}}})
		}},
		"WhatWentBackToARevokedGrantKept": {"was revoked, and 200 that went back to it were not taken out", func(f *forger) {
			f.remove(f.ada, one[int64](f, "SELECT sequence FROM credit_transactions WHERE user_id = {ada} AND type = 'revocation' AND actor_type = 'system'"))
			f.exec("UPDATE credit_grants SET remaining = 200 WHERE user_id = {ada} AND revoked_at IS NOT NULL")
			f.exec("UPDATE idempotency_keys k SET created_at = t.created_at FROM credit_transactions t WHERE t.idempotency_key = k.key AND t.amount = -100 AND t.user_id = {ada}")
		}},
		"OneOfTwoExpired": {"and what was left of it, 500, was not taken out", func(f *forger) {
			f.exec("UPDATE credit_grants SET expires_at = (SELECT updated_at + interval '1 millisecond' FROM credit_accounts WHERE user_id = {dan}) WHERE user_id = {dan}")
			first := one[uuid.UUID](f, "SELECT id FROM credit_grants WHERE user_id = $1 AND sequence = 1", f.dan)
			f.add(f.dan, forged{kind: creditledger.TypeExpiry, amount: -500, grant: &first, unasked: true, burned: []creditledger.Burn{{GrantID: first, Amount: 500}}})
		}},
		"ExpiredTwice": {"had nothing left to take out", func(f *forger) {
			grant := one[uuid.UUID](f, "SELECT id FROM credit_grants WHERE user_id = {ada} AND expired > 0")
			f.add(f.ada, forged{kind: creditledger.TypeExpiry, amount: -1, grant: &grant, unasked: true, burned: []creditledger.Burn{{GrantID: grant, Amount: 1}}})
		}},
		"ExpiryCalledARevocation": {"was not revoked", func(f *forger) {
			f.exec("UPDATE credit_transactions SET type = 'revocation' WHERE user_id = {ada} AND type = 'expiry'")
			f.rechain(f.ada)
		}},
		// Events that cannot have been.
		"VoidedByNobody": {"nothing else happens to them unasked", func(f *forger) {
			f.exec("DELETE FROM idempotency_keys k USING credit_hold_events e WHERE e.user_id = {ada} AND e.type = 'voided' AND e.amount = 50 AND k.key = e.idempotency_key")
			f.exec("UPDATE credit_hold_events SET idempotency_key = NULL, actor_id = NULL, actor_type = 'system' WHERE user_id = {ada} AND type = 'voided' AND amount = 50")
			f.rechain(f.ada)
		}},
		"PlacedByNobody": {"nobody asked for it", func(f *forger) {
			f.exec("DELETE FROM idempotency_keys k USING credit_hold_events e WHERE e.user_id = {ada} AND e.number = 1 AND k.key = e.idempotency_key")
			f.exec("UPDATE credit_hold_events SET idempotency_key = NULL, actor_id = NULL, actor_type = 'system' WHERE user_id = {ada} AND number = 1")
			f.rechain(f.ada)
		}},
		"EventRemoved": {"hold event 5: it is missing; the next one has the number 6", func(f *forger) {
			f.exec("DELETE FROM credit_hold_events WHERE user_id = {ada} AND number = 5")
			f.rechain(f.ada)
		}},
		"TransactionRemoved": {"transaction 6: it is missing; the next one has the number 7", func(f *forger) {
			f.exec("DELETE FROM credit_transactions WHERE user_id = {ada} AND sequence = 6")
			f.rechain(f.ada)
		}},
		"PinnedWithANote": {"what it pinned cannot be read", func(f *forger) {
			f.exec("UPDATE credit_hold_events SET pinned = jsonb_set(pinned, '{0,note}', '1') WHERE user_id = {ada} AND number = 1")
		}},
		"BurnedWithANote": {"what it burned cannot be read", func(f *forger) {
			f.exec("UPDATE credit_transactions SET burned = jsonb_set(burned, '{0,note}', '1') WHERE user_id = {ada} AND sequence = 5")
		}},
		"EventApartFromItsCapture": {"its time is not that of its capture", func(f *forger) {
			f.exec("UPDATE credit_hold_events SET created_at = created_at + interval '1 microsecond' WHERE user_id = {ada} AND type = 'captured' AND status = 'captured'")
			f.exec("UPDATE credit_holds SET updated_at = updated_at + interval '1 microsecond' WHERE user_id = {ada} AND status = 'captured'")
			f.rechain(f.ada)
		}},
		"EventOfAHoldThatHasEnded": {"is not active: it was never placed, or has ended", func(f *forger) {
			f.exec("UPDATE credit_hold_events SET hold_id = (SELECT id FROM credit_holds WHERE user_id = {ada} AND status = 'captured') WHERE user_id = {ada} AND type = 'voided' AND amount > 100")
			f.rechain(f.ada)
		}},
		"IncrementThatEnds": {"it says that the hold is voided, but it is active", func(f *forger) {
			f.exec("UPDATE credit_hold_events SET status = 'voided' WHERE user_id = {ada} AND type = 'incremented'")
			f.rechain(f.ada)
		}},
		"EventWithAText": {"only what places a hold has a text", func(f *forger) {
			f.exec("UPDATE credit_hold_events SET note_digest = hash WHERE user_id = {ada} AND type = 'voided' AND amount = 50")
			f.rechain(f.ada)
		}},
		"HeldMoreThanThereIs": {"it holds 100000, of", func(f *forger) {
			f.exec("UPDATE credit_hold_events SET amount = 100000 WHERE user_id = {ada} AND number = 1")
			f.rechain(f.ada)
		}},
		"IncrementedByMoreThanThereIs": {"it holds 100000 more, of", func(f *forger) {
			f.exec("UPDATE credit_hold_events SET amount = 100120 WHERE user_id = {ada} AND type = 'incremented'")
			f.rechain(f.ada)
		}},
		"PlacedWhenExpired": {"the hold had expired before it was placed", func(f *forger) {
			f.exec("UPDATE credit_hold_events SET expires_at = created_at WHERE user_id = {ada} AND number = 1")
			f.rechain(f.ada)
		}},
		"EventOfAnotherHold": {"it is of another hold than the capture before it", func(f *forger) {
			f.exec("UPDATE credit_hold_events SET hold_id = (SELECT id FROM credit_holds WHERE user_id = {ada} AND status = 'voided' AND amount = 50) WHERE user_id = {ada} AND type = 'captured' AND status = 'active'")
			f.rechain(f.ada)
		}},
		"CapturedLessThanItsCapture": {"it says that 39 of 150 are captured, but it is 40 of 150", func(f *forger) {
			f.exec("UPDATE credit_hold_events SET captured = 39 WHERE user_id = {ada} AND type = 'captured' AND status = 'active'")
			f.rechain(f.ada)
		}},
		"CaptureNotNamed": {"it does not name the newest capture of hold", func(f *forger) {
			f.exec("UPDATE credit_hold_events SET transaction_id = gen_random_uuid() WHERE user_id = {ada} AND type = 'captured' AND status = 'active'")
			f.rechain(f.ada)
		}},
		"EventWithoutACapture": {"no capture comes before it", func(f *forger) {
			f.exec("UPDATE credit_hold_events SET type = 'captured' WHERE user_id = {ada} AND type = 'voided' AND amount = 50")
			f.rechain(f.ada)
		}},
		"AnotherEventAfterACapture": {"it is not the event of the capture before it", func(f *forger) {
			f.exec("UPDATE credit_hold_events SET type = 'voided' WHERE user_id = {ada} AND type = 'captured' AND status = 'active'")
			f.rechain(f.ada)
		}},
		// Numbers without a measure.
		"BeyondTheLimit": {"it takes the balance to 9007199254740992", func(f *forger) {
			f.exec("UPDATE credit_grants SET amount = 9007199254740492, remaining = 9007199254740492 WHERE user_id = {dan} AND sequence = 2")
			f.exec("UPDATE credit_transactions SET amount = 9007199254740492, balance_after = 9007199254740992 WHERE user_id = {dan} AND sequence = 2")
			f.rechain(f.dan)
		}},
		"OutOfRange": {"its amount -9223372036854775808 is out of range", func(f *forger) {
			f.exec("UPDATE credit_transactions SET amount = -9223372036854775808 WHERE user_id = {ada} AND sequence = 5")
			f.rechain(f.ada)
		}},
		"DebitThatGives": {"its amount 150 has the wrong sign", func(f *forger) {
			f.exec("UPDATE credit_transactions SET amount = 150 WHERE user_id = {ada} AND sequence = 5")
			f.rechain(f.ada)
		}},
		"AccountOfNobody": {"there is no such user", func(f *forger) {
			f.exec("INSERT INTO credit_accounts (user_id, created_at, updated_at) VALUES (gen_random_uuid(), now(), now())")
		}},
		"AccountWithoutAnId": {"one has no id", func(f *forger) {
			f.exec("INSERT INTO users (id, email, created_at, updated_at) VALUES ('00000000-0000-0000-0000-000000000000', 'nobody@example.com', now(), now())")
			f.exec("INSERT INTO credit_accounts (user_id, created_at, updated_at) VALUES ('00000000-0000-0000-0000-000000000000', now(), now())")
		}},
		// Keys.
		"KeyReused": {"under which it was asked for, is missing or does not name it", func(f *forger) {
			used := one[string](f, "SELECT idempotency_key FROM credit_transactions WHERE user_id = {ada} AND sequence = 5")
			f.add(f.ada, forged{kind: creditledger.TypeDebit, amount: -1, key: &used, burned: []creditledger.Burn{{GrantID: f.open(), Amount: 1}}})
		}},
		"KeyMovedToAnother": {"under which it was asked for, is missing or does not name it", func(f *forger) {
			used := one[string](f, "SELECT idempotency_key FROM credit_transactions WHERE user_id = {ada} AND sequence = 5")
			f.exec("UPDATE idempotency_keys SET sequence = (SELECT sequence + 1 FROM credit_accounts WHERE user_id = {ada}), created_at = (SELECT updated_at + interval '1 second' FROM credit_accounts WHERE user_id = {ada}) WHERE key = $1", used)
			f.add(f.ada, forged{kind: creditledger.TypeDebit, amount: -1, key: &used, burned: []creditledger.Burn{{GrantID: f.open(), Amount: 1}}})
		}},
		"KeyOfNothing": {"which is not there", func(f *forger) {
			f.exec("INSERT INTO idempotency_keys (caller_id, key, fingerprint, user_id, sequence, status, created_at) VALUES ($1, 'forged', $2, {ada}, 1000, 201, now())", f.caller.ID, make([]byte, 32))
		}},
		"TwoKeysForOne": {"not asked for under it", func(f *forger) {
			f.exec("INSERT INTO idempotency_keys SELECT caller_id, key || 'x', fingerprint, user_id, sequence, status, body, created_at, hold_event, parts FROM idempotency_keys WHERE user_id = {ada} AND sequence = 5")
		}},
		"KeyOfWhatNobodyAskedFor": {"it was not asked for under it", func(f *forger) {
			f.exec("INSERT INTO idempotency_keys (caller_id, key, fingerprint, user_id, sequence, status, created_at) SELECT $1, 'forged', $2, user_id, sequence, 201, created_at FROM credit_transactions WHERE user_id = {ada} AND type = 'expiry' LIMIT 1", f.caller.ID, make([]byte, 32))
		}},
		"KeyThatNamesMore": {"says something else as well", func(f *forger) {
			f.exec("UPDATE idempotency_keys SET body = 'refused' WHERE user_id = {ada} AND sequence = 5")
		}},
		"KeyOfABatchThatNamesMore": {"says something else as well", func(f *forger) {
			f.exec("UPDATE idempotency_keys SET user_id = {ada}, sequence = 1000 WHERE json_array_length(parts) = 5")
		}},
		"BatchOutOfOrder": {"names it out of its order", func(f *forger) {
			// The two debits of Ada's in the batch of five change places.
			f.exec("UPDATE idempotency_keys SET parts = (jsonb_set(jsonb_set(parts::jsonb, '{1}', parts::jsonb->4), '{4}', parts::jsonb->1))::json WHERE json_array_length(parts) = 5")
		}},
		// Who and when.
		"NobodyAskedForADebit": {"nobody asked for it", func(f *forger) {
			f.add(f.ada, forged{kind: creditledger.TypeDebit, amount: -1, unasked: true, burned: []creditledger.Burn{{GrantID: f.open(), Amount: 1}}})
		}},
		"AtTheSameTime": {"is not after that of the record before it", func(f *forger) {
			f.exec("UPDATE credit_transactions t SET created_at = o.created_at FROM credit_transactions o WHERE t.user_id = {cy} AND o.user_id = {cy} AND (t.sequence, o.sequence) = (2, 1)")
			f.rechain(f.cy)
		}},
		"MadeEarlier": {"is of another time", func(f *forger) {
			f.exec("UPDATE credit_transactions SET created_at = created_at - interval '500 milliseconds' WHERE user_id = {ada} AND sequence = 5")
			f.rechain(f.ada)
		}},
		"IdOfAnotherTime": {"is not one of its time", func(f *forger) {
			f.exec("UPDATE credit_transactions SET id = $1 WHERE user_id = {cy} AND type = 'debit' AND amount = -1", pgdb.IDAt(epoch, uuid.New()))
			f.rechain(f.cy)
		}},
		"AccountOpenedLater": {"is not after that of the record before it", func(f *forger) {
			f.exec("UPDATE credit_accounts SET created_at = created_at + interval '1 day' WHERE user_id = {ada}")
		}},
		"TypeChanged": {"that its type does not, or lacks one", func(f *forger) {
			f.exec("UPDATE credit_transactions SET type = 'expiry' WHERE user_id = {ada} AND sequence = 5")
			f.rechain(f.ada)
		}},
		"AccountReopened": {"its user was deleted, but it is open", func(f *forger) {
			f.exec("UPDATE credit_accounts SET closed_at = NULL WHERE user_id = {eve}")
		}},
		"TextAdded": {"it has a text that it was made without", func(f *forger) {
			f.exec("INSERT INTO credit_transaction_notes SELECT {ada}, 5, salt, description, metadata FROM credit_transaction_notes LIMIT 1")
		}},
		"TextOfNothing": {"transaction 1000: there is a text for it, but no such transaction", func(f *forger) {
			f.exec("INSERT INTO credit_transaction_notes SELECT {ada}, 1000, salt, description, metadata FROM credit_transaction_notes LIMIT 1")
		}},
		"TextsBroughtBack": {"its text is still there, although the account was closed", func(f *forger) {
			f.exec("INSERT INTO credit_transaction_notes SELECT {eve}, 1, salt, description, metadata FROM credit_transaction_notes LIMIT 1")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			v.forge(t, func(f *forger) {
				f.t = t
				attack.do(f)
				requireBroken(t, f.tx, Options{}, attack.words)
			})
		})
	}
}
