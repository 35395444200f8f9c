package creditledger

import (
	"context"
	"log/slog"

	"github.com/google/uuid"
)

// record is what an operation brought about, or nobody asked for.
type record struct {
	transactions []*Transaction
	events       []*HoldEvent
}

// shareRecords gives each operation its part of what was posted, for its caller
// to log, and returns what nobody asked for.
func (b *batch) shareRecords() (rest record) {
	byKey := make(map[key]*record, len(b.ops))
	for _, op := range b.ops {
		byKey[op.key()] = &op.record
	}
	of := func(by Actor, idempotencyKey *string) *record {
		if idempotencyKey != nil {
			if r := byKey[key{by.ID, *idempotencyKey}]; r != nil {
				return r
			}
		}
		return &rest
	}
	for _, a := range b.accounts {
		for _, t := range a.posted {
			r := of(t.Actor, t.IdempotencyKey)
			r.transactions = append(r.transactions, t)
		}
		for _, e := range a.events {
			r := of(e.Actor, e.IdempotencyKey)
			r.events = append(r.events, e)
		}
	}
	return rest
}

// actions are what log lines call transactions.
var actions = map[TransactionType]string{
	TypeGrant: "credits_granted", TypeDebit: "credits_debited", TypeCapture: "credits_captured", TypeReversal: "credits_reversed",
	TypeTransferIn: "credits_received", TypeTransferOut: "credits_sent", TypeExpiry: "credits_expired", TypeRevocation: "credits_revoked",
}

// logRecord writes a line for each transaction and each change of a hold.
func (l *Ledger) logRecord(ctx context.Context, r record) {
	if l.o.Log == nil || !l.o.Log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	for _, t := range r.transactions {
		l.logEvent(ctx, actions[t.Type], t.UserID, t.Actor,
			slog.String("authservice.transaction.id", t.ID.String()), slog.Int64("authservice.transaction.sequence", t.Sequence),
			slog.Int64("authservice.transaction.amount", t.Amount), slog.Int64("authservice.transaction.balance_after", t.BalanceAfter))
	}
	for _, e := range r.events {
		l.logEvent(ctx, "hold_"+string(e.Type), e.UserID, e.Actor,
			slog.String("authservice.hold.id", e.Hold.ID.String()), slog.Int64("authservice.hold.amount", e.Hold.Amount))
	}
}

func (l *Ledger) logEvent(ctx context.Context, action string, userID uuid.UUID, by Actor, what ...slog.Attr) {
	var space [12]slog.Attr
	attrs := append(space[:0], slog.String("event.action", action), slog.String("event.outcome", "success"),
		slog.String("user.id", userID.String()), slog.String("authservice.actor.type", string(by.Type)))
	if by.Type != ActorSystem {
		attrs = append(attrs, slog.String("authservice.actor.id", by.ID.String()))
	}
	l.o.Log.LogAttrs(ctx, slog.LevelInfo, action, append(attrs, what...)...)
}
