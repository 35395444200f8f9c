package telemetry

import (
	"context"
	"strings"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
)

// newDatabaseTracer returns what a pool tells of its statements: it adds them to
// the Work of their context and, where there are traces, makes spans of them.
func newDatabaseTracer(spans trace.TracerProvider) pgx.QueryTracer {
	if spans == nil {
		return workTracer{}
	}
	return multitracer.New(workTracer{}, otelpgx.NewTracer(
		otelpgx.WithTracerProvider(spans),
		otelpgx.WithMeterProvider(noop.NewMeterProvider()),
		otelpgx.WithSpanNameFunc(queryName),
		otelpgx.WithDisableConnectionDetailsInAttributes(),
	))
}

// queryName is the name that sqlc wrote above a statement, or its first word.
func queryName(sql string) string {
	const sqlc = "-- name: "
	if named, ok := strings.CutPrefix(sql, sqlc); ok {
		name, _, _ := strings.Cut(named, " ")
		return name
	}
	return otelpgx.SQLOperationName(context.Background(), sql)
}

// workTracer adds what the database is asked to the Work of the context.
type workTracer struct{}

func begin(ctx context.Context) context.Context {
	if w := workOf(ctx); w != nil {
		w.db.begin()
	}
	return ctx
}

func end(ctx context.Context, statements, rows int64) {
	if w := workOf(ctx); w != nil {
		w.db.end(statements, rows)
	}
}

// TraceQueryStart implements pgx.QueryTracer.
func (workTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return begin(ctx)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (workTracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	end(ctx, 1, data.CommandTag.RowsAffected())
}

// TraceBatchStart implements pgx.BatchTracer.
func (workTracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return begin(ctx)
}

// TraceBatchQuery implements pgx.BatchTracer.
func (workTracer) TraceBatchQuery(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	if w := workOf(ctx); w != nil {
		w.db.statements.Add(1)
		w.db.rows.Add(data.CommandTag.RowsAffected())
	}
}

// TraceBatchEnd implements pgx.BatchTracer.
func (workTracer) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchEndData) {
	end(ctx, 0, 0)
}

// TraceCopyFromStart implements pgx.CopyFromTracer.
func (workTracer) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	return begin(ctx)
}

// TraceCopyFromEnd implements pgx.CopyFromTracer.
func (workTracer) TraceCopyFromEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceCopyFromEndData) {
	end(ctx, 1, data.CommandTag.RowsAffected())
}

// TraceAcquireStart implements pgxpool.AcquireTracer: to wait for a free
// connection is to wait for the database.
func (workTracer) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	return begin(ctx)
}

// TraceAcquireEnd implements pgxpool.AcquireTracer.
func (workTracer) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireEndData) {
	end(ctx, 0, 0)
}
