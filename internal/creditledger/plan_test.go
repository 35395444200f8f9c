package creditledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgtest"
)

func TestLedger_Plans(t *testing.T) {
	t.Parallel()
	db := seedHistory(t)
	t.Run("OfOneAccount", func(t *testing.T) { testPlansOfOneAccount(t, db) })
	t.Run("OfTheSweep", func(t *testing.T) { testPlanOfTheSweep(t, db) })
	t.Run("OfLists", func(t *testing.T) { testPlansOfLists(t, db) })
	t.Run("OfAPastBalance", func(t *testing.T) { testPastBalanceReadsLittle(t, db) })
	t.Run("EachTime", func(t *testing.T) { testListsArePlannedEachTime(t, db) })
}

// What a posting and a look at an account read is found by indexes, under the
// plan that PostgreSQL makes for any parameters, to which a connection comes
// after five times: an account may have thousands of grants and a history of
// years.
func testPlansOfOneAccount(t *testing.T, db *pgtest.Database) {
	t.Helper()
	q := dbgen.New()
	users, until := []uuid.UUID{number(0), number(7)}, epoch.Add(time.Minute)
	for name, c := range map[string]struct {
		ask     func(ctx context.Context, db dbgen.DBTX) error
		indexes []string
		ordered bool // by the index alone
	}{
		"FirstGrants": {func(ctx context.Context, db dbgen.DBTX) error {
			_, err := q.CreditGrantListFirst(ctx, db, dbgen.CreditGrantListFirstParams{UserIds: users, PageSize: 8})
			return err
		}, []string{"credit_grants_burn_idx"}, true},
		"NextGrants": {func(ctx context.Context, db dbgen.DBTX) error {
			_, err := q.CreditGrantListOpen(ctx, db, dbgen.CreditGrantListOpenParams{UserID: users[0], Skip: 8, PageSize: 8})
			return err
		}, []string{"credit_grants_burn_idx"}, true},
		"DueGrants": {func(ctx context.Context, db dbgen.DBTX) error {
			_, err := q.CreditGrantListDue(ctx, db, dbgen.CreditGrantListDueParams{UserIds: users, Until: &until})
			return err
		}, []string{"credit_grants_expiry_idx"}, false},
		"DueHolds": {func(ctx context.Context, db dbgen.DBTX) error {
			_, err := q.CreditHoldListDue(ctx, db, dbgen.CreditHoldListDueParams{UserIds: users, Until: until})
			return err
		}, []string{"due_idx on credit_holds"}, false},
		"NamedGrants": {func(ctx context.Context, db dbgen.DBTX) error {
			_, err := q.CreditGrantListNamed(ctx, db, dbgen.CreditGrantListNamedParams{UserIds: users, Ids: users})
			return err
		}, []string{"Index Scan using credit_grants_"}, false},
		"Originals": {func(ctx context.Context, db dbgen.DBTX) error {
			_, err := q.CreditTransactionListOriginals(ctx, db, dbgen.CreditTransactionListOriginalsParams{UserIds: users, Ids: users})
			return err
		}, []string{"credit_transactions_id_key", "credit_transactions_reverses_idx"}, false},
		"Keys": {func(ctx context.Context, db dbgen.DBTX) error {
			_, err := q.IdempotencyKeyListNamed(ctx, db, dbgen.IdempotencyKeyListNamedParams{CallerIds: users, Keys: []string{"key-1", "key-2"}})
			return err
		}, []string{"idempotency_keys_pkey"}, false},
		"Balance": {func(ctx context.Context, db dbgen.DBTX) error {
			_, err := q.CreditBalanceGet(ctx, db, dbgen.CreditBalanceGetParams{UserID: users[0], Now: &until})
			return err
		}, []string{"credit_grants_expiry_idx", "credit_holds_due_idx"}, false},
		"PastBalance": {func(ctx context.Context, db dbgen.DBTX) error {
			_, err := q.CreditBalanceAt(ctx, db, dbgen.CreditBalanceAtParams{UserID: users[0], At: until})
			return err
		}, []string{"credit_transactions_pkey", "credit_hold_events_pkey"}, false},
		"NumberAtAMoment": {func(ctx context.Context, db dbgen.DBTX) error {
			_, err := q.CreditTransactionSequenceAt(ctx, db, dbgen.CreditTransactionSequenceAtParams{UserID: users[0], At: until})
			return err
		}, []string{"credit_transactions_pkey"}, true},
		"Statement": {func(ctx context.Context, db dbgen.DBTX) error {
			_, err := q.CreditTransactionListForward(ctx, db, dbgen.CreditTransactionListForwardParams{UserID: users[0], After: 10, Last: 200, PageSize: 50})
			return err
		}, []string{"credit_transactions_pkey"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := explain(t, db)
			e.general = true
			err := c.ask(t.Context(), e)
			require.ErrorIs(t, err, errExplained)
			for _, index := range c.indexes {
				require.Contains(t, e.plan, index, e.plan)
			}
			for _, table := range []string{"transactions", "grants", "holds", "hold_events"} {
				require.NotContains(t, e.plan, "Seq Scan on credit_"+table+" ", e.plan)
			}
			require.NotContains(t, e.plan, "Seq Scan on idempotency_keys", e.plan)
			if c.ordered {
				require.NotContains(t, e.plan, "Sort", e.plan)
			}
		})
	}
}

// The sweep finds what is due among all accounts, not by looking at each.
func testPlanOfTheSweep(t *testing.T, db *pgtest.Database) {
	t.Helper()
	e := explain(t, db)
	now := epoch.Add(time.Minute)
	_, err := dbgen.New().CreditAccountListDue(t.Context(), e, dbgen.CreditAccountListDueParams{Now: &now, PageSize: 200})
	require.ErrorIs(t, err, errExplained)
	require.Contains(t, e.plan, "credit_grants_due_idx", e.plan)
	require.Contains(t, e.plan, "credit_holds_all_due_idx", e.plan)
	require.NotContains(t, e.plan, "Seq Scan on credit_grants", e.plan)
	require.NotContains(t, e.plan, "Seq Scan on credit_holds", e.plan)
}

// Each filter of a list is served by an index, in the order of the list.
func testPlansOfLists(t *testing.T, db *pgtest.Database) {
	t.Helper()
	q := dbgen.New()
	for name, c := range map[string]struct {
		ask   func(p *dbgen.CreditTransactionListParams)
		index string
	}{
		"All":       {func(*dbgen.CreditTransactionListParams) {}, "credit_transactions_pkey"},
		"Often":     {func(p *dbgen.CreditTransactionListParams) { p.Type = ptr("debit") }, "credit_transactions_pkey"},
		"Type":      {func(p *dbgen.CreditTransactionListParams) { p.Type = ptr("reversal") }, "credit_transactions_type_idx"},
		"Reference": {func(p *dbgen.CreditTransactionListParams) { p.Reference = ptr("order-7") }, "credit_transactions_reference_idx"},
		"Both":      {func(p *dbgen.CreditTransactionListParams) { p.Type, p.Reference = ptr("debit"), ptr("order-7") }, "credit_transactions_reference_idx"},
		"Time":      {func(p *dbgen.CreditTransactionListParams) { p.After, p.Before = 20, 190 }, "credit_transactions_pkey"},
	} {
		t.Run("OfOne/"+name, func(t *testing.T) {
			t.Parallel()
			p := dbgen.CreditTransactionListParams{UserID: number(7), Before: 1 << 60, PageSize: 51}
			c.ask(&p)
			e := explain(t, db)
			_, err := q.CreditTransactionList(t.Context(), e, p)
			e.requireOrdered(t, err, c.index)
		})
	}

	for name, c := range map[string]struct {
		ask   func(p *dbgen.CreditTransactionListAllParams)
		index string
	}{
		"All":       {func(*dbgen.CreditTransactionListAllParams) {}, "credit_transactions_id_key"},
		"Often":     {func(p *dbgen.CreditTransactionListAllParams) { p.Type = ptr("debit") }, "credit_transactions_id_key"},
		"Type":      {func(p *dbgen.CreditTransactionListAllParams) { p.Type = ptr("reversal") }, "credit_transactions_all_type_idx"},
		"Reference": {func(p *dbgen.CreditTransactionListAllParams) { p.Reference = ptr("order-7") }, "credit_transactions_all_reference_idx"},
		"Both":      {func(p *dbgen.CreditTransactionListAllParams) { p.Type, p.Reference = ptr("debit"), ptr("order-7") }, "credit_transactions_all_reference_idx"},
		"Time":      {func(p *dbgen.CreditTransactionListAllParams) { p.NotBefore, p.Before = seededID(100), seededID(200) }, "credit_transactions_id_key"},
	} {
		t.Run("OfAll/"+name, func(t *testing.T) {
			t.Parallel()
			p := dbgen.CreditTransactionListAllParams{Before: uuid.Max, PageSize: 51}
			c.ask(&p)
			e := explain(t, db)
			_, err := q.CreditTransactionListAll(t.Context(), e, p)
			e.requireOrdered(t, err, c.index)
		})
	}
}

// Nor does a connection settle on one plan for all filters, which would read a
// whole history for a rare type.
func testListsArePlannedEachTime(t *testing.T, db *pgtest.Database) {
	t.Helper()
	config := db.Pool.Config()
	config.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer pool.Close()
	ledger := creditledger.New(pool, creditledger.Options{})
	for range 8 {
		for _, kind := range []*string{nil, ptr("reversal")} {
			_, _, err := ledger.Transactions(t.Context(), number(7), creditledger.TransactionFilter{Type: kind, Limit: 50})
			require.NoError(t, err)
			_, _, err = ledger.AllTransactions(t.Context(), creditledger.AllTransactionsFilter{Before: uuid.Max, Type: kind, Limit: 50})
			require.NoError(t, err)
		}
	}
	var general int
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT coalesce(sum(generic_plans), 0) FROM pg_prepared_statements WHERE statement LIKE $1", "%name: CreditTransactionList%").Scan(&general))
	require.Zero(t, general)
}

// A balance long ago costs no more than one of yesterday: what was done since is not read.
func testPastBalanceReadsLittle(t *testing.T, db *pgtest.Database) {
	t.Helper()
	e := explain(t, db)
	e.how = "(ANALYZE, FORMAT JSON, TIMING OFF)"
	_, err := dbgen.New().CreditBalanceAt(t.Context(), e, dbgen.CreditBalanceAtParams{UserID: number(7), At: epoch.Add(35 * time.Minute)})
	require.ErrorIs(t, err, errExplained)
	var plans []struct{ Plan step }
	require.NoError(t, json.Unmarshal([]byte(e.plan), &plans))
	read := plans[0].Plan.read()
	require.Positive(t, read)
	require.Less(t, read, 60, "of 240 records\n%s", e.plan)
}

// step is a step of a plan that was carried out.
type step struct {
	Table   string  `json:"Relation Name"`
	Rows    float64 `json:"Actual Rows"`
	Removed float64 `json:"Rows Removed by Filter"`
	Loops   float64 `json:"Actual Loops"`
	Plans   []step
}

// read counts the records that were read.
func (s step) read() (n int) {
	if s.Table == "credit_transactions" || s.Table == "credit_hold_events" {
		n = int((s.Rows + s.Removed) * s.Loops)
	}
	for _, below := range s.Plans {
		n += below.read()
	}
	return n
}

func number(n byte) uuid.UUID { return uuid.UUID{15: n} }

// seededID is below the ids of transactions that were made in the second.
func seededID(second int) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("%08x-0000-0000-0000-000000000000", second))
}

// seedHistory makes 100 accounts with 200 transactions each, a second apart, and
// with grants and holds, of which the first account has 2,000 that are open.
// It is no ledger: nothing adds up.
func seedHistory(t *testing.T) *pgtest.Database {
	t.Helper()
	db := pgtest.New(t)
	for _, sql := range []string{
		`INSERT INTO users (id, email, created_at, updated_at)
			SELECT lpad(to_hex(n), 32, '0')::uuid, n || '@example.com', $1, $1 FROM generate_series(0, 99) n`,
		`INSERT INTO credit_accounts (user_id, balance, sequence, hold_events, created_at, updated_at)
			SELECT lpad(to_hex(n), 32, '0')::uuid, 1000000, 200, 40, $1, $1 FROM generate_series(0, 99) n`,
		`INSERT INTO credit_transactions (user_id, sequence, id, type, amount, balance_after, reference, actor_type, hash, created_at)
			SELECT lpad(to_hex(n % 100), 32, '0')::uuid, n / 100 + 1, (lpad(to_hex(n), 8, '0') || '00007000' || lpad(to_hex(n), 16, '8'))::uuid, k.type,
			       CASE k.type WHEN 'debit' THEN -1 ELSE 1 END, 100, CASE WHEN n % 10 = 7 THEN 'order-' || n / 20 END, 'system', decode(md5(n::text) || md5(n::text), 'hex'),
			       $1::timestamptz + n * interval '1 second'
			FROM generate_series(0, 19999) n,
			     LATERAL (SELECT CASE WHEN n % 1009 = 7 THEN 'reversal' WHEN n % 20 = 0 THEN 'grant' ELSE 'debit' END AS type) k`,
		`INSERT INTO credit_grants (user_id, id, sequence, part, amount, remaining, priority, expires_at, created_at)
			SELECT lpad(to_hex(u), 32, '0')::uuid, md5(u || '-' || n)::uuid, 1 + n % 200, n / 200, 10, CASE WHEN u = 0 OR n % 4 = 0 THEN 10 ELSE 0 END, n % 3,
			       CASE WHEN n % 2 = 0 THEN $1::timestamptz + n * interval '10 minutes' END, $1
			FROM generate_series(0, 99) u, LATERAL generate_series(1, CASE u WHEN 0 THEN 2000 ELSE 40 END) n`,
		`INSERT INTO credit_holds (user_id, id, amount, status, expires_at, pinned, created_at, updated_at)
			SELECT lpad(to_hex(n % 100), 32, '0')::uuid, md5(n::text)::uuid, 5, s.status, $1::timestamptz + n * interval '1 minute',
			       CASE s.status WHEN 'active' THEN '[{"grant_id": "00000000-0000-0000-0000-000000000001", "amount": 5}]'::jsonb ELSE '[]' END, $1, $1
			FROM generate_series(0, 3999) n, LATERAL (SELECT CASE WHEN n % 5 = 0 THEN 'active' ELSE 'voided' END AS status) s`,
		`INSERT INTO credit_hold_events (user_id, number, hold_id, type, amount, captured, status, expires_at, pinned, held_after, actor_type, hash, created_at)
			SELECT lpad(to_hex(n % 100), 32, '0')::uuid, n / 100 + 1, md5(n::text)::uuid, 'placed', 5, 0, 'active', $1, '[]', 5, 'system',
			       decode(md5(n::text) || md5(n::text), 'hex'), $1::timestamptz + n * interval '1 minute'
			FROM generate_series(0, 3999) n`,
		`INSERT INTO idempotency_keys (caller_id, key, fingerprint, status, body, created_at)
			SELECT md5(n::text)::uuid, 'key-' || n, decode(md5(n::text) || md5(n::text), 'hex'), 404, '{}', $1 FROM generate_series(1, 5000) n`,
	} {
		_, err := db.Pool.Exec(t.Context(), sql, epoch)
		require.NoError(t, err)
	}
	_, err := db.Owner(t).Exec(t.Context(), "ANALYZE")
	require.NoError(t, err)
	return db
}

// explainer has PostgreSQL explain a query in place of answering it.
type explainer struct {
	dbgen.DBTX
	conn    *pgxpool.Conn
	general bool   // the plan for any parameters
	how     string // options of EXPLAIN
	plan    string
}

var errExplained = errors.New("explained")

func explain(t *testing.T, db *pgtest.Database) *explainer {
	t.Helper()
	conn, err := db.Pool.Acquire(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = conn.Conn().Close(context.Background()) // with its settings
		conn.Release()
	})
	return &explainer{conn: conn}
}

// requireOrdered requires that a list was explained, and comes from one index in its order.
func (e *explainer) requireOrdered(t *testing.T, err error, index string) {
	t.Helper()
	require.ErrorIs(t, err, errExplained)
	require.Contains(t, e.plan, index, e.plan)
	require.NotContains(t, e.plan, "Sort", e.plan)
	require.NotContains(t, e.plan, "Seq Scan on credit_transactions", e.plan)
}

func (e *explainer) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	err := e.explain(ctx, sql, args)
	return nil, errors.Join(err, errExplained)
}

func (e *explainer) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return failedRow{errors.Join(e.explain(ctx, sql, args), errExplained)}
}

func (e *explainer) explain(ctx context.Context, sql string, args []any) error {
	if e.general {
		literals := make([]string, len(args))
		for i, arg := range args {
			literals[i] = literal(arg)
		}
		for _, setUp := range []string{"SET plan_cache_mode = force_generic_plan", "PREPARE explained AS " + sql} {
			if _, err := e.conn.Exec(ctx, setUp, pgx.QueryExecModeSimpleProtocol); err != nil {
				return err
			}
		}
		sql, args = "EXECUTE explained ("+strings.Join(literals, ", ")+")", nil
	}
	rows, err := e.conn.Query(ctx, "EXPLAIN "+e.how+" "+sql, args...)
	if err != nil {
		return err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	e.plan = strings.Join(lines, "\n")
	return err
}

// failedRow is the answer to a query that has none.
type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

func literal(arg any) string {
	switch arg := arg.(type) {
	case *time.Time:
		return literal(*arg)
	case time.Time:
		return "'" + arg.Format(time.RFC3339Nano) + "'"
	case uuid.UUID:
		return "'" + arg.String() + "'"
	case []uuid.UUID:
		texts := make([]string, len(arg))
		for i, id := range arg {
			texts[i] = id.String()
		}
		return literal(texts)
	case []string:
		return "'{" + strings.Join(arg, ",") + "}'"
	default:
		return fmt.Sprint(arg)
	}
}
