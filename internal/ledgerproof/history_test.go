package ledgerproof

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

// restore takes tables, or one account in them, back to an older state.
func (v *vault) restore(t *testing.T, tx pgx.Tx, state map[string]string, tables []string, userID uuid.UUID) {
	t.Helper()
	where := ""
	if userID != uuid.Nil {
		where = " WHERE user_id = '" + userID.String() + "'"
	}
	for _, table := range tables {
		var columns []string
		for _, c := range v.columns(t) {
			if c.table == table {
				columns = append(columns, c.name)
			}
		}
		list := strings.Join(columns, ", ")
		_, err := tx.Exec(t.Context(), "DELETE FROM "+table+where)
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), fmt.Sprintf("INSERT INTO %s (%s) SELECT %[2]s FROM json_populate_recordset(NULL::%[1]s, $1::text::json)%[3]s", table, list, where), state[table])
		require.NoError(t, err)
	}
}

// A history that was rewritten, cut off or taken back is as sound as the true
// one, until it is held against what was signed.
func TestTamper_Checkpoints(t *testing.T) {
	t.Parallel()
	v := breakIn(t)
	outside := Options{Outside: v.checkpoints}
	begin := func(t *testing.T) (*forger, pgx.Tx) {
		t.Helper()
		tx, err := v.conn.Begin(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
		return &forger{vault: v, t: t, tx: tx}, tx
	}
	requireSound := func(t *testing.T, tx pgx.Tx, o Options) {
		t.Helper()
		require.NoError(t, prove(t, tx, o))
	}
	// What nothing but the hash of the record speaks of.
	rewrite := func(f *forger) {
		f.exec("UPDATE credit_transactions SET reference = 'invoice-2' WHERE user_id = {ada} AND reference = 'invoice-1'")
		f.rechain(f.ada)
	}
	withoutCheckpoints := func(f *forger) {
		f.exec("DELETE FROM ledger_checkpoint_heads")
		f.exec("DELETE FROM ledger_checkpoints")
	}

	t.Run("Rewritten", func(t *testing.T) {
		f, tx := begin(t)
		rewrite(f)
		requireBroken(t, tx, Options{}, "account "+f.ada.String()+", checkpoint 1: with 7 transactions and 0 hold events the account had another head then")
		withoutCheckpoints(f)
		requireSound(t, tx, Options{})
		requireBroken(t, tx, outside, "kept checkpoint 1: the newest of the database is number 0")
	})

	t.Run("RewrittenWithItsHeads", func(t *testing.T) {
		f, tx := begin(t)
		rewrite(f)
		f.exec("UPDATE ledger_checkpoint_heads h SET head_hash = t.hash FROM credit_transactions t WHERE h.user_id = {ada} AND h.checkpoint = 1 AND t.user_id = h.user_id AND t.sequence = h.sequence")
		for n := 2; n <= 3; n++ {
			f.exec(`UPDATE ledger_checkpoint_heads h SET head_hash = (
				SELECT hash FROM (
					SELECT hash, created_at, 0 AS o FROM credit_transactions WHERE user_id = h.user_id AND sequence = h.sequence
					UNION ALL SELECT hash, created_at, 1 FROM credit_hold_events WHERE user_id = h.user_id AND number = h.hold_events
				) r ORDER BY created_at DESC, o DESC LIMIT 1
			) WHERE user_id = {ada} AND checkpoint = $1`, n)
		}
		requireBroken(t, tx, Options{}, "checkpoint 1: the heads of accounts that the database has for it are not those that were signed")
	})

	t.Run("RewrittenAndSignedByAnotherKey", func(t *testing.T) {
		f, tx := begin(t)
		rewrite(f)
		withoutCheckpoints(f)
		forger := NewCheckpointer(nil, slices.Repeat([]byte{7}, 32), v.clock.Now)
		for range 3 {
			_, err := forger.makeIn(t.Context(), tx, 0)
			require.NoError(t, err)
		}
		requireSound(t, tx, Options{})
		requireBroken(t, tx, outside, "kept checkpoint 1: the database has another one with this number")
	})

	t.Run("AccountTakenBack", func(t *testing.T) {
		f, tx := begin(t)
		v.restore(t, tx, v.states[1], tables[:8], f.ada)
		requireBroken(t, tx, Options{}, "account "+f.ada.String()+": at checkpoint 3 it had")
		f.exec("DELETE FROM ledger_checkpoint_heads WHERE user_id = {ada} AND checkpoint = 3")
		requireBroken(t, tx, Options{}, "checkpoint 3: the heads of accounts that the database has for it are not those that were signed")
		f.exec("DELETE FROM ledger_checkpoint_heads WHERE checkpoint = 3")
		f.exec("DELETE FROM ledger_checkpoints WHERE number = 3")
		requireSound(t, tx, Options{})
		requireBroken(t, tx, outside, "kept checkpoint 3: the newest of the database is number 2: it was taken back to a state before 2026-")
		requireSound(t, tx, Options{Outside: v.checkpoints[:2]})

		// The service goes on, and makes a third one again.
		_, err := NewCheckpointer(nil, make([]byte, 32), v.clock.Now).makeIn(t.Context(), tx, 0)
		require.NoError(t, err)
		requireSound(t, tx, Options{})
		requireBroken(t, tx, outside, "kept checkpoint 3: the database has another one with this number")
	})

	t.Run("AccountTakenBackAndWrittenOn", func(t *testing.T) {
		f, tx := begin(t)
		v.restore(t, tx, v.states[1], tables[:8], f.ada)
		for range 10 {
			from := f.open()
			f.add(f.ada, forged{kind: "debit", amount: -1, burned: burns(from, 1)})
			f.exec("UPDATE credit_grants SET remaining = remaining - 1 WHERE id = $1", from)
		}
		requireBroken(t, tx, Options{}, "checkpoint 3: the account never had")
	})

	t.Run("EverythingTakenBack", func(t *testing.T) {
		_, tx := begin(t)
		v.restore(t, tx, v.states[1], tables, uuid.Nil)
		requireSound(t, tx, Options{Outside: v.checkpoints[:2]})
		requireBroken(t, tx, outside, "kept checkpoint 3: the newest of the database is number 2")
	})

	t.Run("TakenBackBetweenCheckpoints", func(t *testing.T) {
		f, tx := begin(t)
		v.restore(t, tx, v.states[0], tables[:8], f.ada)
		_, err := NewCheckpointer(nil, make([]byte, 32), v.clock.Now).makeIn(t.Context(), tx, 0)
		require.NoError(t, err)
		requireBroken(t, tx, Options{}, "checkpoint 4: the account had 7 transactions and 0 hold events at it, but")
	})

	t.Run("OneRemovedThatChangedNothing", func(t *testing.T) {
		f, tx := begin(t)
		for range 3 {
			_, err := NewCheckpointer(nil, make([]byte, 32), v.clock.Now).makeIn(t.Context(), tx, 0)
			require.NoError(t, err)
		}
		requireSound(t, tx, Options{})
		f.exec("DELETE FROM ledger_checkpoints WHERE number = 5")
		requireBroken(t, tx, Options{}, "checkpoint 5: it is missing; the next one has the number 6")
	})

	t.Run("NewestTransactionsCutOff", func(t *testing.T) {
		f, tx := begin(t)
		cutOff := func() {
			last := one[int64](f, "SELECT sequence FROM credit_accounts WHERE user_id = $1", f.cy)
			f.exec("UPDATE credit_grants g SET remaining = remaining - t.amount FROM credit_transactions t WHERE t.user_id = {cy} AND t.sequence = $1 AND g.id = (t.burned->0->>'grant_id')::uuid", last)
			f.remove(f.cy, last)
		}
		cutOff() // what came after the newest checkpoint
		requireSound(t, tx, outside)
		cutOff() // what is in it
		requireBroken(t, tx, Options{}, "account "+f.cy.String()+": at checkpoint 3 it had 7 transactions and 0 hold events; now it has 6 and 0, the newest were cut off")
	})

	// Whoever has the key can sign what he likes, but not what does not fit together.
	t.Run("SignedAgain", func(t *testing.T) {
		for words, change := range map[string]func(*Checkpoint){
			"checkpoint 2: it does not name the root of the checkpoint before it":  func(c *Checkpoint) { c.Previous[0]++ },
			"checkpoint 2: it is not later than the checkpoint before it":          func(c *Checkpoint) { c.CreatedAt = v.checkpoints[0].CreatedAt },
			"checkpoint 2: the heads of accounts that the database has for it are": func(c *Checkpoint) { c.Accounts++ },
			"checkpoint 3: it does not name the root of the checkpoint before it":  func(c *Checkpoint) { c.Root[0]++ },
		} {
			f, tx := begin(t)
			c := v.checkpoints[1]
			change(&c)
			c.sign(ed25519.NewKeyFromSeed(make([]byte, 32)))
			f.exec("UPDATE ledger_checkpoints SET created_at = $1, accounts = $2, root = $3, previous = $4, signature = $5 WHERE number = 2", c.CreatedAt, c.Accounts, c.Root[:], c.Previous[:], c.Signature[:])
			requireBroken(t, tx, Options{}, words)
			require.NoError(t, tx.Rollback(t.Context()))
		}
		f, tx := begin(t)
		f.exec("UPDATE ledger_checkpoints SET root = '\\x00' WHERE number = 2")
		requireBroken(t, tx, Options{}, "checkpoint 2: it cannot be read")
	})

	t.Run("LineChanged", func(t *testing.T) {
		_, tx := begin(t)
		for name, change := range map[string]func(*Checkpoint){
			"number":       func(c *Checkpoint) { c.Number++ },
			"created_at":   func(c *Checkpoint) { c.CreatedAt = c.CreatedAt.AddDate(0, 0, 1) },
			"accounts":     func(c *Checkpoint) { c.Accounts++ },
			"transactions": func(c *Checkpoint) { c.Transactions++ },
			"hold_events":  func(c *Checkpoint) { c.HoldEvents++ },
			"root":         func(c *Checkpoint) { c.Root[0]++ },
			"previous":     func(c *Checkpoint) { c.Previous[0]++ },
			"public_key":   func(c *Checkpoint) { c.PublicKey[0]++ },
			"signature":    func(c *Checkpoint) { c.Signature[0]++ },
		} {
			changed := v.checkpoints[1]
			change(&changed)
			err := prove(t, tx, Options{Outside: []Checkpoint{v.checkpoints[0], changed}})
			require.ErrorContains(t, err, "its signature does not fit: it was changed where it was kept", name)
		}
		// Signed again, by the same key, it still is not what the database has.
		changed := v.checkpoints[1]
		changed.Root[0]++
		changed.sign(ed25519.NewKeyFromSeed(make([]byte, 32)))
		requireBroken(t, tx, Options{Outside: []Checkpoint{changed}}, "kept checkpoint 2: the database has another one with this number, of 2026-")
	})
}

func burns(from uuid.UUID, amount int64) []creditledger.Burn {
	return []creditledger.Burn{{GrantID: from, Amount: amount}}
}
