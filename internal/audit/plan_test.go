package audit_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// Each filter is served by an index of its own: the log may grow for years.
func TestLog_ListUsesIndexes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	actor, target := seed(t, b)
	list := dbgen.AuditEventListParams{Before: uuid.Max, PageSize: 51}
	for name, c := range map[string]struct {
		ask   func(p *dbgen.AuditEventListParams)
		index string
	}{
		"All":       {func(*dbgen.AuditEventListParams) {}, "audit_events_pkey"},
		"Actor":     {func(p *dbgen.AuditEventListParams) { p.ActorID = &actor }, "audit_events_actor_id_idx"},
		"Target":    {func(p *dbgen.AuditEventListParams) { p.TargetID = &target }, "audit_events_target_id_idx"},
		"Type":      {func(p *dbgen.AuditEventListParams) { p.Type = ptr("rare") }, "audit_events_type_idx"},
		"FromActor": {func(p *dbgen.AuditEventListParams) { p.ActorID, p.Since = &actor, in(time.Hour) }, "audit_events_actor_id_idx"},
		"Both":      {func(p *dbgen.AuditEventListParams) { p.ActorID, p.Type = &actor, ptr("type_7") }, "audit_events_actor_id_idx"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := list
			c.ask(&p)
			conn, err := b.db.Pool.Acquire(t.Context())
			require.NoError(t, err)
			defer conn.Release()
			e := &explainer{conn: conn}
			_, err = dbgen.New().AuditEventList(t.Context(), e, p)
			require.ErrorIs(t, err, errExplained)
			require.Contains(t, e.plan, c.index, e.plan)
			require.NotContains(t, e.plan, "Seq Scan", e.plan)
		})
	}
}

// Nor does a connection settle on one plan for all filters, as it would for
// statements that it has prepared: that one reads the whole log.
func TestLog_ListIsPlannedEachTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	actor, _ := seed(t, b)
	pool, err := pgdb.Open(t.Context(), b.db.URL, pgdb.PoolOptions{
		MaxConns: 1, MaxConnLifetime: time.Hour, MaxConnIdleTime: time.Hour, ConnectTimeout: 30 * time.Second, StatementTimeout: time.Minute, LockTimeout: time.Minute,
	})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	log := audit.New(pool, b.clock.Now)
	for range 10 {
		for _, f := range []audit.Filter{{}, {ActorID: &actor}} {
			page, _, err := log.List(t.Context(), f, uuid.Max, 50)
			require.NoError(t, err)
			require.Len(t, page, 50)
		}
		page, err := log.About(t.Context(), actor, uuid.Max, 50)
		require.NoError(t, err)
		require.Len(t, page, 50)
	}
	var general int
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT coalesce(sum(generic_plans), 0) FROM pg_prepared_statements WHERE statement LIKE $1", "%name: AuditEventList%").Scan(&general))
	require.Zero(t, general)
}

// seed makes 20,000 events, a second apart, of and on 400 people, a thousandth
// of them of a rare type, and returns an actor and a target.
func seed(t *testing.T, b *bundle) (actor, target uuid.UUID) {
	t.Helper()
	_, err := b.db.Pool.Exec(t.Context(), `
		WITH event AS (
			INSERT INTO audit_events (id, type, actor_type, actor_id, target_type, target_id, created_at)
			SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
			       CASE WHEN n % 1000 = 7 THEN 'rare' ELSE 'type_' || n % 10 END,
			       'user', md5('actor' || n % 400)::uuid, 'user', md5('target' || n % 400)::uuid, at
			FROM generate_series(1, 20000) n, LATERAL (SELECT $1::timestamptz + n * interval '1 second' AS at) moment
			RETURNING id
		)
		INSERT INTO audit_event_clients (event_id, ip) SELECT id, '192.0.2.7' FROM event`, epoch)
	require.NoError(t, err)
	_, err = b.db.Owner(t).Exec(t.Context(), "ANALYZE audit_events, audit_event_clients")
	require.NoError(t, err)
	require.NoError(t, b.db.Pool.QueryRow(t.Context(), "SELECT md5('actor7')::uuid, md5('target7')::uuid").Scan(&actor, &target))
	return actor, target
}

// explainer has PostgreSQL explain a query in place of answering it.
type explainer struct {
	dbgen.DBTX
	conn *pgxpool.Conn
	plan string
}

var errExplained = errors.New("explained")

func (e *explainer) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := e.conn.Query(ctx, "EXPLAIN "+sql, args...)
	if err != nil {
		return nil, err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	e.plan = strings.Join(lines, "\n")
	return nil, errors.Join(err, errExplained)
}
