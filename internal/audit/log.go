package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// Log is all events.
type Log struct {
	pool  *pgxpool.Pool
	reads dbgen.DBTX // which may be late
	q     *dbgen.Queries
	now   func() time.Time
	heard []func(context.Context, Event)
}

// New returns the log of a migrated database. now is the clock, time.Now but in
// tests; heard is told of each event once it is committed.
func New(pool *pgxpool.Pool, now func() time.Time, heard ...func(context.Context, Event)) *Log {
	return &Log{pool: pool, reads: pool, q: dbgen.New(), now: now, heard: heard}
}

// ReadFrom has lists read from a database that may be a little late.
func (l *Log) ReadFrom(db dbgen.DBTX) *Log { l.reads = db; return l }

// Write adds an event in the caller's transaction, with the source that ctx carries.
func (l *Log) Write(ctx context.Context, tx pgx.Tx, what Type, on Target, details Details) error {
	return l.WriteAs(ctx, tx, SourceOf(ctx).Actor, what, on, details)
}

// WriteAs is Write in the name of somebody whom the request has only now
// turned out to come from, as a login does.
func (l *Log) WriteAs(ctx context.Context, tx pgx.Tx, actor Actor, what Type, on Target, details Details) error {
	source := SourceOf(ctx)
	now := l.now().UTC().Truncate(time.Microsecond)
	insert := dbgen.AuditEventInsertParams{
		ID: pgdb.IDAt(now, uuid.New()), Type: string(what), ActorType: string(actor.Type), Details: []byte("{}"),
		UserAgent: source.UserAgent, Now: now,
	}
	if actor.ID != uuid.Nil {
		insert.ActorID = &actor.ID
	}
	if on.Type != "" {
		insert.TargetType = (*string)(&on.Type)
	}
	if on.ID != uuid.Nil {
		insert.TargetID = &on.ID
	}
	if source.RequestID != "" {
		insert.RequestID = &source.RequestID
	}
	if source.IP.IsValid() {
		insert.IP = &source.IP
	}
	if len(details) > 0 {
		var err error
		if insert.Details, err = json.Marshal(details); err != nil {
			return fmt.Errorf("writing the audit event's details: %w", err)
		}
	}
	if err := l.q.AuditEventInsert(ctx, tx, insert); err != nil {
		return fmt.Errorf("writing the audit event: %w", err)
	}
	pgdb.OnCommit(tx, func() {
		for _, hear := range l.heard {
			hear(ctx, Event{
				ID: insert.ID, Type: what, Actor: actor, Target: on, Details: insert.Details,
				RequestID: source.RequestID, IP: source.IP, UserAgent: source.UserAgent, At: now,
			})
		}
	})
	return nil
}

// Record writes an event that stands alone: a refusal, which changes nothing.
func (l *Log) Record(ctx context.Context, actor Actor, what Type, on Target, details Details) error {
	return pgdb.InTx(ctx, l.pool, func(tx pgx.Tx) error { return l.WriteAs(ctx, tx, actor, what, on, details) })
}

// Filter picks events; the zero value picks all.
type Filter struct {
	ActorID, TargetID *uuid.UUID
	Type              *string
	From              *time.Time // at or after
	To                *time.Time // before
}

// List returns the events before an id (uuid.Max for all), newest first; more
// says that there are older ones.
func (l *Log) List(ctx context.Context, f Filter, before uuid.UUID, limit int) (page []Event, more bool, err error) {
	var notBefore uuid.UUID
	if f.From != nil {
		notBefore = pgdb.IDAt(*f.From, uuid.Nil)
	}
	if f.To != nil {
		if end := pgdb.IDAt(*f.To, uuid.Nil); less(end, before) {
			before = end
		}
	}
	rows, err := l.q.AuditEventList(ctx, pgdb.Planned{DBTX: l.reads}, dbgen.AuditEventListParams{
		Before: before, NotBefore: notBefore, ActorID: f.ActorID, TargetID: f.TargetID, Type: f.Type,
		Since: f.From, Until: f.To, PageSize: int32(limit) + 1, //nolint:gosec // at most 200
	})
	if err != nil {
		return nil, false, pgdb.Classify(err)
	}
	if more = len(rows) > limit; more {
		rows = rows[:limit]
	}
	for _, row := range rows {
		page = append(page, eventFrom(dbgen.AuditEventListAboutRow(row)))
	}
	return page, more, nil
}

// About returns a page of what a person did and what was done to them, for
// themselves to see: without the addresses of others who did it.
func (l *Log) About(ctx context.Context, userID, before uuid.UUID, limit int) ([]Event, error) {
	rows, err := l.q.AuditEventListAbout(ctx, pgdb.Planned{DBTX: l.reads}, dbgen.AuditEventListAboutParams{
		UserID: &userID, Before: before, PageSize: int32(limit), //nolint:gosec // a page
	})
	if err != nil {
		return nil, pgdb.Classify(err)
	}
	page := make([]Event, len(rows))
	for i, row := range rows {
		page[i] = eventFrom(row)
		if actor := page[i].Actor; actor.Type != ActorAnonymous && actor.ID != userID {
			page[i].IP, page[i].UserAgent = netip.Addr{}, ""
		}
	}
	return page, nil
}

// EraseClients removes the network addresses of a person's events.
func (l *Log) EraseClients(ctx context.Context, tx pgx.Tx, userID uuid.UUID) error {
	if err := l.q.AuditEventEraseClients(ctx, tx, &userID); err != nil {
		return fmt.Errorf("erasing addresses from the audit events: %w", err)
	}
	return nil
}

func eventFrom(row dbgen.AuditEventListAboutRow) Event {
	e := Event{
		ID: row.AuditEvent.ID, Type: Type(row.AuditEvent.Type), Actor: Actor{Type: ActorType(row.AuditEvent.ActorType)},
		Details: row.AuditEvent.Details, UserAgent: row.UserAgent, At: row.AuditEvent.CreatedAt,
	}
	if row.AuditEvent.ActorID != nil {
		e.Actor.ID = *row.AuditEvent.ActorID
	}
	if row.AuditEvent.TargetType != nil {
		e.Target.Type = TargetType(*row.AuditEvent.TargetType)
	}
	if row.AuditEvent.TargetID != nil {
		e.Target.ID = *row.AuditEvent.TargetID
	}
	if row.AuditEvent.RequestID != nil {
		e.RequestID = *row.AuditEvent.RequestID
	}
	if row.IP != nil {
		e.IP = *row.IP
	}
	return e
}

func less(a, b uuid.UUID) bool { return bytes.Compare(a[:], b[:]) < 0 }
