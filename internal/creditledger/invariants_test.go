package creditledger_test

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

// requireInvariants replays the history of every account in plain Go and
// compares what comes out with every column of the ledger's tables: the
// invariants 1, 2, 4, 5, 8, 9 and 10 of the ledger. It reads the rows with SQL of
// its own and shares no decision with the package, but the hash function.
func requireInvariants(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	ctx := context.Background() // it also runs when the test's own is over
	accounts := collect[accountRow](ctx, t, pool, "SELECT user_id, balance, held, sequence, head_hash, updated_at, closed_at IS NOT NULL AS closed FROM credit_accounts")
	grants := collect[grantRow](ctx, t, pool, "SELECT user_id, id, sequence, amount, remaining, held, expired, priority, expires_at, created_at FROM credit_grants")
	rows := collect[transactionRow](ctx, t, pool, `
		SELECT t.*, n.salt, n.description, n.metadata, k.fingerprint, k.caller_id, g.priority AS grant_priority, g.expires_at AS grant_expires_at
		FROM credit_transactions t
		LEFT JOIN credit_transaction_notes n USING (user_id, sequence)
		LEFT JOIN idempotency_keys k ON k.user_id = t.user_id AND k.sequence = t.sequence AND k.key = t.idempotency_key
		LEFT JOIN credit_grants g ON g.user_id = t.user_id AND g.sequence = t.sequence
		ORDER BY t.user_id, t.sequence`)

	var issued, spent, expired, outstanding int64
	for _, a := range accounts {
		r := &replay{t: t, closed: a.Closed, lots: map[uuid.UUID]*grantRow{}}
		for _, g := range grants {
			if g.UserID == a.UserID {
				r.terms = append(r.terms, g)
			}
		}
		for _, row := range rows {
			if row.UserID != a.UserID {
				continue
			}
			r.apply(row)
			switch row.Type {
			case "grant":
				issued += row.Amount
			case "debit":
				spent -= row.Amount
			case "expiry":
				expired -= row.Amount
			}
		}
		r.requireEnd(a)
		outstanding += a.Balance
	}
	require.Equal(t, issued, spent+expired+outstanding, "issued = spent + expired + outstanding")
	requireKeys(ctx, t, pool)
}

type accountRow struct {
	UserID    uuid.UUID
	Balance   int64
	Held      int64
	Sequence  int64
	HeadHash  []byte
	UpdatedAt time.Time
	Closed    bool
}

type grantRow struct {
	UserID    uuid.UUID
	ID        uuid.UUID
	Sequence  int64
	Amount    int64
	Remaining int64
	Held      int64
	Expired   int64
	Priority  int16
	ExpiresAt *time.Time
	CreatedAt time.Time
}

type transactionRow struct {
	UserID         uuid.UUID
	Sequence       int64
	ID             uuid.UUID
	Type           string
	Amount         int64
	BalanceAfter   int64
	Reference      *string
	NoteDigest     []byte
	HoldID         *uuid.UUID
	ReversesID     *uuid.UUID
	GrantID        *uuid.UUID
	Burned         json.RawMessage
	ActorType      string
	ActorID        *uuid.UUID
	IdempotencyKey *string
	Hash           []byte
	CreatedAt      time.Time
	Salt           []byte
	Description    *string
	Metadata       json.RawMessage
	Fingerprint    []byte
	CallerID       *uuid.UUID
	GrantPriority  *int16
	GrantExpiresAt *time.Time
}

// replay is an account while its history is applied again.
type replay struct {
	t        *testing.T
	closed   bool       // with the person's text erased
	terms    []grantRow // its grants as the database has them now
	lots     map[uuid.UUID]*grantRow
	balance  int64
	sequence int64
	last     time.Time
	head     [32]byte
}

func (r *replay) apply(row transactionRow) {
	t := r.t
	r.sequence++
	r.balance += row.Amount
	require.Equal(t, r.sequence, row.Sequence, "no gap in the sequence of %s", row.UserID)
	require.Equal(t, r.balance, row.BalanceAfter)
	require.GreaterOrEqual(t, r.balance, int64(0))
	require.True(t, row.CreatedAt.After(r.last), "%v is not after %v", row.CreatedAt, r.last)
	r.last = row.CreatedAt

	var burned []creditledger.Burn
	require.NoError(t, json.Unmarshal(row.Burned, &burned))
	switch row.Type {
	case "grant":
		require.Empty(t, burned)
		r.grant(row)
	case "debit":
		require.Nil(t, row.GrantID)
		require.Equal(t, r.burn(-row.Amount, row.CreatedAt), burned, "burned by %s/%d", row.UserID, row.Sequence)
	case "expiry":
		lot := r.lots[*row.GrantID]
		require.NotNil(t, lot.ExpiresAt)
		require.False(t, row.CreatedAt.Before(*lot.ExpiresAt), "expired before its time")
		require.Equal(t, -lot.Remaining, row.Amount, "all that was left expires")
		require.Equal(t, []creditledger.Burn{{GrantID: lot.ID, Amount: lot.Remaining}}, burned)
		lot.Expired, lot.Remaining = lot.Remaining, 0
	default:
		require.Fail(t, "unexpected type", row.Type)
	}
	r.requireHash(row, burned)
}

func (r *replay) grant(row transactionRow) {
	i := slices.IndexFunc(r.terms, func(g grantRow) bool { return g.ID == *row.GrantID })
	require.NotEqual(r.t, -1, i, "grant %v has no row", row.GrantID)
	g := r.terms[i]
	require.Equal(r.t, row.Sequence, g.Sequence)
	require.Equal(r.t, row.CreatedAt, g.CreatedAt)
	require.True(r.t, g.ExpiresAt == nil || g.ExpiresAt.After(row.CreatedAt), "granted after its expiry")
	r.lots[g.ID] = &grantRow{ID: g.ID, Sequence: g.Sequence, Amount: row.Amount, Remaining: row.Amount, Priority: g.Priority, ExpiresAt: g.ExpiresAt}
}

// burn takes amount from the lots and says what it took.
func (r *replay) burn(amount int64, at time.Time) (burned []creditledger.Burn) {
	for _, lot := range r.burningOrder() {
		take := min(lot.Remaining, amount)
		if take == 0 {
			continue
		}
		require.True(r.t, lot.ExpiresAt == nil || lot.ExpiresAt.After(at), "burned after its expiry")
		lot.Remaining -= take
		amount -= take
		burned = append(burned, creditledger.Burn{GrantID: lot.ID, Amount: take})
	}
	require.Zero(r.t, amount, "the grants hold less than the balance says")
	return burned
}

func (r *replay) burningOrder() []*grantRow {
	never := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	expiry := func(g *grantRow) time.Time {
		if g.ExpiresAt == nil {
			return never
		}
		return *g.ExpiresAt
	}
	var lots []*grantRow
	for _, lot := range r.lots {
		lots = append(lots, lot)
	}
	slices.SortFunc(lots, func(a, b *grantRow) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), expiry(a).Compare(expiry(b)), cmp.Compare(a.Sequence, b.Sequence))
	})
	return lots
}

// requireHash makes the hash again from nothing but what the database holds.
func (r *replay) requireHash(row transactionRow, burned []creditledger.Burn) {
	t := r.t
	note := creditledger.Note{Description: row.Description, Metadata: row.Metadata}
	switch {
	case r.closed:
		require.Nil(t, row.Salt)
	case row.Salt == nil:
		require.Nil(t, row.NoteDigest)
	default:
		require.Equal(t, creditledger.NoteDigest(row.Salt, note), row.NoteDigest)
	}
	actor := creditledger.Actor{Type: creditledger.ActorType(row.ActorType)}
	if row.ActorID != nil {
		actor.ID = *row.ActorID
	}
	hash := creditledger.ChainHash(r.head, creditledger.Row{
		Transaction: creditledger.Transaction{
			UserID: row.UserID, Sequence: row.Sequence, ID: row.ID, Type: creditledger.TransactionType(row.Type),
			Amount: row.Amount, BalanceAfter: row.BalanceAfter, Reference: row.Reference, Note: note,
			HoldID: row.HoldID, ReversesID: row.ReversesID, GrantID: row.GrantID, Burned: burned,
			Actor: actor, IdempotencyKey: row.IdempotencyKey, CreatedAt: row.CreatedAt,
		},
		NoteDigest: row.NoteDigest, Fingerprint: row.Fingerprint,
		GrantPriority: row.GrantPriority, GrantExpiresAt: row.GrantExpiresAt,
	})
	require.Equal(t, hash[:], row.Hash, "hash of %s/%d (%s)", row.UserID, row.Sequence, row.Type)
	r.head = hash
}

func (r *replay) requireEnd(a accountRow) {
	t := r.t
	require.Equal(t, r.balance, a.Balance)
	require.Equal(t, r.sequence, a.Sequence)
	require.Equal(t, r.head[:], a.HeadHash)
	require.Zero(t, a.Held)
	if r.sequence > 0 {
		require.Equal(t, r.last, a.UpdatedAt)
	}
	require.Len(t, r.terms, len(r.lots), "each grant was made by a transaction")
	var sum int64
	for _, g := range r.terms {
		lot := r.lots[g.ID]
		require.Equal(t, lot.Amount, g.Amount)
		require.Equal(t, lot.Remaining, g.Remaining)
		require.Equal(t, lot.Expired, g.Expired)
		require.Zero(t, g.Held)
		if g.ExpiresAt != nil && !g.ExpiresAt.After(r.last) {
			require.Zero(t, g.Remaining, "grant %s is past its expiry", g.ID)
		}
		sum += g.Remaining
	}
	require.Equal(t, sum, a.Balance)
}

// requireKeys checks that transactions and the keys under which they were asked
// for name each other, each exactly once.
func requireKeys(ctx context.Context, t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	for what, sql := range map[string]string{
		"a request's transaction without a key": `SELECT count(*) FROM credit_transactions WHERE (idempotency_key IS NULL) <> (type = 'expiry')`,
		"a transaction which is not named by exactly one key": `
			SELECT count(*) FROM (
				SELECT t.id FROM credit_transactions t LEFT JOIN idempotency_keys k USING (user_id, sequence)
				GROUP BY t.id, t.type HAVING count(k.key) <> CASE t.type WHEN 'expiry' THEN 0 ELSE 1 END
			) wrong`,
		"a key whose transaction does not name it": `
			SELECT count(*) FROM idempotency_keys k JOIN credit_transactions t USING (user_id, sequence)
			WHERE t.idempotency_key IS DISTINCT FROM k.key OR t.actor_id IS DISTINCT FROM k.caller_id`,
	} {
		var n int
		require.NoError(t, pool.QueryRow(ctx, sql).Scan(&n))
		require.Zero(t, n, what)
	}
}

func collect[R any](ctx context.Context, t *testing.T, pool *pgxpool.Pool, sql string) []R {
	t.Helper()
	rows, err := pool.Query(ctx, sql)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[R])
	require.NoError(t, err)
	return all
}
