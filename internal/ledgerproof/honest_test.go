package ledgerproof

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/pgtest"
)

// Whatever the ledger does is sound, in whichever order, and with clocks that
// stand still, jump and go back.
func TestVerify_WhateverHappens(t *testing.T) {
	t.Parallel()
	w := newWorld(pgtest.New(t).Pool)
	var kept []Checkpoint
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 1))
		h := &happening{world: w, r: r, t: t}
		for range 3 {
			h.users = append(h.users, w.open(t))
		}
		for range 120 {
			h.something()
		}
		kept = append(kept, w.checkpoint(t))
		_, err := Verify(t.Context(), w.pool, Options{Outside: kept})
		require.NoError(t, err, "seed %d: %v", seed, h.log)
	}
	var kinds []string
	require.NoError(t, w.pool.QueryRow(t.Context(), `
		SELECT array_agg(type ORDER BY type)
		FROM (SELECT type FROM credit_transactions UNION SELECT type FROM credit_hold_events) x`).Scan(&kinds))
	require.Equal(t, []string{
		"capture", "captured", "debit", "expired", "expiry", "grant", "incremented", "placed", "reversal", "revocation",
		"transfer_in", "transfer_out", "voided",
	}, kinds)
}

// happening is a run of random operations.
type happening struct {
	*world
	r            *rand.Rand
	t            *testing.T
	users        []uuid.UUID
	transactions []uuid.UUID
	grants       []uuid.UUID
	holds        []uuid.UUID
	log          []string
}

func pick[V any](r *rand.Rand, all []V) V { return all[r.IntN(len(all))] }

// amount is small or larger, so that there is often too little.
func (h *happening) amount() int64 { return 1 + h.r.Int64N(pick(h.r, []int64{3, 30, 120})) }

func (h *happening) lasting() time.Duration {
	return time.Duration(1+h.r.IntN(20)) * pick(h.r, []time.Duration{time.Microsecond, time.Second, time.Minute})
}

func (h *happening) something() {
	ctx := h.t.Context()
	h.clock.Advance(pick(h.r, []time.Duration{0, 0, time.Microsecond, 3 * time.Microsecond, time.Second, time.Second, time.Minute, -time.Minute}))
	user := pick(h.r, h.users)
	var (
		what string
		err  error
	)
	switch n := h.r.IntN(20); {
	case n < 5:
		what = "grant"
		g := creditledger.GrantParams{UserID: user, Amount: h.amount(), Priority: pick(h.r, []int16{10, 50, 50})}
		if h.r.IntN(2) == 0 {
			g.ExpiresAt = ptr(h.clock.Now().Add(h.lasting()))
		}
		err = h.post(h.ledger.Grant(ctx, h.request(), g))
	case n < 9:
		what = "debit"
		err = h.post(h.ledger.Debit(ctx, h.request(), creditledger.DebitParams{UserID: user, Amount: h.amount(), AllowPartial: h.r.IntN(3) == 0}))
	case n < 11:
		what = "hold"
		var made creditledger.HoldReceipt
		if made, err = h.ledger.Hold(ctx, h.request(), creditledger.HoldParams{UserID: user, Amount: h.amount(), ExpiresIn: h.lasting()}); err == nil {
			h.holds = append(h.holds, made.Hold.ID)
		}
	case n < 15 && len(h.holds) > 0:
		err = h.change(pick(h.r, h.holds), &what)
	case n < 17 && len(h.transactions) > 0:
		what = "reverse"
		p := creditledger.ReversalParams{}
		if h.r.IntN(2) == 0 {
			p.Amount = ptr(h.amount())
		}
		err = h.post(h.ledger.Reverse(ctx, h.request(), pick(h.r, h.transactions), p))
	case n < 18 && len(h.grants) > 0:
		what = "revoke"
		err = h.post(h.ledger.RevokeGrant(ctx, h.request(), pick(h.r, h.grants)))
	case n < 19:
		what = "transfer"
		_, err = h.ledger.Transfer(ctx, h.request(), creditledger.TransferParams{FromUserID: user, ToUserID: pick(h.r, h.users), Amount: h.amount()})
	default:
		what = "batch"
		var all []creditledger.BulkOperation
		for range 1 + h.r.IntN(5) {
			all = append(all, pick(h.r, []creditledger.BulkOperation{
				creditledger.GrantParams{UserID: pick(h.r, h.users), Amount: h.amount(), ExpiresAt: ptr(h.clock.Now().Add(h.lasting()))},
				creditledger.DebitParams{UserID: pick(h.r, h.users), Amount: h.amount()},
				creditledger.TransferParams{FromUserID: pick(h.r, h.users), ToUserID: pick(h.r, h.users), Amount: h.amount()},
			}))
		}
		_, err = h.ledger.Bulk(ctx, h.request(), h.r.IntN(2) == 0, all)
	}
	h.log = append(h.log, fmt.Sprint(what, " ", err))
}

func (h *happening) change(id uuid.UUID, what *string) (err error) {
	ctx := h.t.Context()
	switch h.r.IntN(4) {
	case 0:
		*what = "increment"
		_, err = h.ledger.IncrementHold(ctx, h.request(), id, h.amount())
	case 1:
		*what = "void"
		_, err = h.ledger.VoidHold(ctx, h.request(), id)
	default:
		*what = "capture"
		p := creditledger.CaptureParams{Final: h.r.IntN(2) == 0}
		if h.r.IntN(2) == 0 {
			p.Amount = ptr(h.amount())
		}
		var made creditledger.HoldReceipt
		if made, err = h.ledger.CaptureHold(ctx, h.request(), id, p); err == nil {
			h.transactions = append(h.transactions, *made.Hold.TransactionID)
		}
	}
	return err
}

func (h *happening) post(made creditledger.Receipt, err error) error {
	if err == nil {
		h.transactions = append(h.transactions, made.Transaction.ID)
		if made.Transaction.Type == creditledger.TypeGrant {
			h.grants = append(h.grants, *made.Transaction.GrantID)
		}
	}
	return err
}
