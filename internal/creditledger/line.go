package creditledger

import (
	"context"
	"log/slog"
)

// lineNames are what log lines call transactions.
var lineNames = map[TransactionType]string{
	TypeGrant: "credits_granted", TypeDebit: "credits_debited", TypeCapture: "credits_captured", TypeReversal: "credits_reversed",
	TypeTransferIn: "credits_received", TypeTransferOut: "credits_sent", TypeExpiry: "credits_expired", TypeRevocation: "credits_revoked",
}

// log writes a line for each transaction that a request made, and for the hold
// that it changed, with the names of the Elastic Common Schema.
func (l *Ledger) log(ctx context.Context, o outcome) {
	if l.o.Log == nil || o.replayed || !l.o.Log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	if o.transaction != nil {
		l.logTransaction(ctx, o.transaction)
	}
	for _, p := range o.parts {
		for _, t := range p.made {
			l.logTransaction(ctx, t)
		}
	}
	if e := o.event; e != nil {
		l.o.Log.LogAttrs(ctx, slog.LevelInfo, "hold_"+string(e.Type),
			slog.String("event.action", "hold_"+string(e.Type)), slog.String("event.outcome", "success"),
			slog.String("user.id", e.UserID.String()), slog.String("hold_id", e.Hold.ID.String()), slog.Int64("held_after", e.HeldAfter))
	}
}

func (l *Ledger) logTransaction(ctx context.Context, t *Transaction) {
	l.o.Log.LogAttrs(ctx, slog.LevelInfo, lineNames[t.Type],
		slog.String("event.action", lineNames[t.Type]), slog.String("event.outcome", "success"),
		slog.String("user.id", t.UserID.String()), slog.String("transaction_id", t.ID.String()),
		slog.Int64("sequence", t.Sequence), slog.Int64("amount", t.Amount), slog.Int64("balance_after", t.BalanceAfter))
}
