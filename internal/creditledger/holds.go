package creditledger

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

const (
	// DefaultHold is how long a hold lasts that names no time.
	DefaultHold = 15 * time.Minute
	// MaxHold is how long a hold lasts at the most.
	MaxHold = 365 * 24 * time.Hour
)

// HoldParams is a hold to be placed.
type HoldParams struct {
	UserID    uuid.UUID
	Amount    int64         // 1 … MaxBalance
	ExpiresIn time.Duration // more than 0, up to MaxHold
	Reference *string
	Note      Note
}

// CaptureParams is what is captured of a hold.
type CaptureParams struct {
	Amount *int64 // 1 … MaxBalance; nil for all that is left
	// Final lets go of the rest; otherwise it stays held, to be captured later.
	Final bool
}

// HoldReceipt is a hold as a request left it, now or when it was first sent.
type HoldReceipt struct {
	Hold     Hold
	Replayed bool
}

// Hold sets credits apart, until they are captured or let go, by a void or when
// the hold expires. Errors: ErrUserNotFound, ErrInsufficientCredits,
// ErrAmountOutOfRange, ErrExpiresInOutOfRange, ErrKeyReused.
func (l *Ledger) Hold(ctx context.Context, r Request, p HoldParams) (HoldReceipt, error) {
	if err := checkAmount(p.Amount); err != nil {
		return HoldReceipt{}, err
	}
	if p.ExpiresIn < time.Microsecond || p.ExpiresIn > MaxHold {
		return HoldReceipt{}, ErrExpiresInOutOfRange
	}
	op := &operation{Request: r, accounts: []uuid.UUID{p.UserID}, decide: func(d *desk, r *Request) (outcome, error) {
		a, err := d.account(p.UserID)
		if err != nil {
			return outcome{}, err
		}
		e, err := a.place(p, r)
		return outcome{event: e}, err
	}}
	return l.postHold(ctx, op)
}

// CaptureHold spends what is held, in whole or in part. Errors: ErrHoldNotFound,
// ErrHoldNotActive, ErrCaptureExceedsHold, ErrAmountOutOfRange, ErrKeyReused.
func (l *Ledger) CaptureHold(ctx context.Context, r Request, holdID uuid.UUID, p CaptureParams) (HoldReceipt, error) {
	if p.Amount != nil {
		if err := checkAmount(*p.Amount); err != nil {
			return HoldReceipt{}, err
		}
	}
	return l.changeHold(ctx, r, holdID, func(a *account, h *hold, r *Request) (*HoldEvent, error) {
		amount := h.left()
		if p.Amount != nil {
			amount = *p.Amount
		}
		return a.capture(h, amount, p.Final, r)
	})
}

// IncrementHold holds more. Errors: ErrHoldNotFound, ErrHoldNotActive,
// ErrInsufficientCredits, ErrAmountOutOfRange, ErrKeyReused.
func (l *Ledger) IncrementHold(ctx context.Context, r Request, holdID uuid.UUID, amount int64) (HoldReceipt, error) {
	if err := checkAmount(amount); err != nil {
		return HoldReceipt{}, err
	}
	return l.changeHold(ctx, r, holdID, func(a *account, h *hold, r *Request) (*HoldEvent, error) {
		return a.increment(h, amount, r)
	})
}

// VoidHold lets go of what is held. Errors: ErrHoldNotFound, ErrHoldNotActive, ErrKeyReused.
func (l *Ledger) VoidHold(ctx context.Context, r Request, holdID uuid.UUID) (HoldReceipt, error) {
	return l.changeHold(ctx, r, holdID, func(a *account, h *hold, r *Request) (*HoldEvent, error) {
		return a.release(h, EventVoided, HoldVoided, r.Actor, r), nil
	})
}

// GetHold returns a hold as it is now. Errors: ErrHoldNotFound.
func (l *Ledger) GetHold(ctx context.Context, holdID uuid.UUID) (Hold, error) {
	row, err := l.q.CreditHoldGet(ctx, l.pool, holdID)
	if pgdb.NoRows(err) {
		return Hold{}, ErrHoldNotFound
	}
	if err != nil {
		return Hold{}, pgdb.Classify(err)
	}
	h, err := holdFrom(row.CreditHold)
	if err != nil {
		return Hold{}, pgdb.Classify(err)
	}
	return h.seen(l.clock(), row.Description, row.Metadata), nil
}

// Holds lists a user's holds with ids below before (uuid.Max for all), newest
// first; more says that there are older ones. Errors: ErrUserNotFound.
func (l *Ledger) Holds(ctx context.Context, userID, before uuid.UUID, limit int) (page []Hold, more bool, err error) {
	now := l.clock()
	rows, err := l.q.CreditHoldList(ctx, l.reads, dbgen.CreditHoldListParams{UserID: userID, Before: before, PageSize: int32(limit) + 1}) //nolint:gosec // at most 200
	if err != nil {
		return nil, false, pgdb.Classify(err)
	}
	if len(rows) == 0 {
		return nil, false, l.exists(ctx, userID)
	}
	if more = len(rows) > limit; more {
		rows = rows[:limit]
	}
	page = make([]Hold, len(rows))
	for i, row := range rows {
		h, err := holdFrom(row.CreditHold)
		if err != nil {
			return nil, false, pgdb.Classify(err)
		}
		page[i] = h.seen(now, row.Description, row.Metadata)
	}
	return page, more, nil
}

// seen is the hold as a reader sees it, whether or not a posting has closed it.
func (h *hold) seen(now time.Time, description *string, metadata []byte) Hold {
	seen := h.Hold
	seen.Note = Note{Description: description, Metadata: metadata}
	if h.due(now) {
		seen.Status = HoldExpired
	}
	return seen
}

// changeHold posts what is done to a hold that there is.
func (l *Ledger) changeHold(ctx context.Context, r Request, holdID uuid.UUID, change func(*account, *hold, *Request) (*HoldEvent, error)) (HoldReceipt, error) {
	userID, err := owner(ctx, l, l.q.CreditHoldOwner, holdID)
	if err != nil {
		return HoldReceipt{}, err
	}
	op := &operation{Request: r, decide: func(*desk, *Request) (outcome, error) { return outcome{}, ErrHoldNotFound }}
	if userID != uuid.Nil {
		op.accounts = []uuid.UUID{userID}
		op.holds = []named{{userID, holdID}}
		op.decide = func(d *desk, r *Request) (outcome, error) {
			a, err := d.account(userID)
			if err != nil {
				return outcome{}, ErrHoldNotFound // the account of a deleted user
			}
			h := a.holds[holdID]
			if h.Status != HoldActive {
				return outcome{}, ErrHoldNotActive
			}
			e, err := change(a, h, r)
			return outcome{event: e}, err
		}
	}
	return l.postHold(ctx, op)
}

func (l *Ledger) postHold(ctx context.Context, op *operation) (HoldReceipt, error) {
	o, err := l.post(ctx, op)
	if err != nil {
		return HoldReceipt{}, err
	}
	return HoldReceipt{Hold: o.event.Hold, Replayed: o.replayed}, nil
}

// owner tells whose something is; that never changes. uuid.Nil means that there is no such thing.
func owner(ctx context.Context, l *Ledger, find func(context.Context, dbgen.DBTX, uuid.UUID) (uuid.UUID, error), id uuid.UUID) (uuid.UUID, error) {
	userID, err := find(ctx, l.pool, id)
	if pgdb.NoRows(err) {
		return uuid.Nil, nil
	}
	return userID, pgdb.Classify(err)
}

// place makes a hold.
func (a *account) place(p HoldParams, r *Request) (*HoldEvent, error) {
	if _, err := a.affordable(p.Amount, false); err != nil {
		return nil, err
	}
	shares, err := a.choose(p.Amount)
	if err != nil {
		return nil, err
	}
	h := &hold{isNew: true, Hold: Hold{
		ID: a.newID(), UserID: a.userID, Amount: p.Amount, Status: HoldActive,
		ExpiresAt: a.now.Add(p.ExpiresIn.Truncate(time.Microsecond)), Reference: p.Reference, Note: p.Note, CreatedAt: a.now,
	}}
	a.holds[h.ID] = h
	e := r.holdEvent(EventPlaced)
	h.noteSalt, e.noteDigest = p.Note.seal()
	e.Pinned = a.pin(h, shares)
	a.record(e, h)
	return e, nil
}

// increment holds more.
func (a *account) increment(h *hold, amount int64, r *Request) (*HoldEvent, error) {
	if _, err := a.affordable(amount, false); err != nil {
		return nil, err
	}
	shares, err := a.choose(amount)
	if err != nil {
		return nil, err
	}
	h.Amount += amount
	e := r.holdEvent(EventIncremented)
	e.Pinned = a.pin(h, shares)
	a.record(e, h)
	return e, nil
}

// capture spends amount of what is held, by a transaction that repeats what the
// hold says of itself. With final, or when nothing is left, the hold is over.
func (a *account) capture(h *hold, amount int64, final bool, r *Request) (*HoldEvent, error) {
	if amount > h.left() {
		return nil, ErrCaptureExceedsHold
	}
	t := r.transaction(h.Reference, h.Note)
	t.Type, t.Amount, t.HoldID = TypeCapture, -amount, &h.ID
	t.Burned = a.unpin(h, amount, true)
	h.Captured += amount
	a.append(t)
	h.TransactionID = &t.ID

	e := r.holdEvent(EventCaptured)
	for _, b := range t.Burned {
		e.Pinned = append(e.Pinned, Burn{b.GrantID, -b.Amount})
	}
	if rest := h.left(); final || rest == 0 {
		h.Status = HoldCaptured
		for _, b := range a.unpin(h, rest, false) {
			e.Pinned = append(e.Pinned, Burn{b.GrantID, -b.Amount})
		}
	}
	a.record(e, h)
	return e, nil
}

// release ends a hold and lets go of what it pins. r is nil where nobody asks for it.
func (a *account) release(h *hold, what HoldEventType, status HoldStatus, actor Actor, r *Request) *HoldEvent {
	e := &HoldEvent{Type: what, Actor: actor}
	if r != nil {
		e = r.holdEvent(what)
	}
	h.Status = status
	for _, b := range a.unpin(h, h.left(), false) {
		e.Pinned = append(e.Pinned, Burn{b.GrantID, -b.Amount})
	}
	a.record(e, h)
	return e
}

// pin sets shares apart for h.
func (a *account) pin(h *hold, shares []share) (pinned []Burn) {
	for _, s := range shares {
		s.held += s.amount
		s.changed = true
		a.held += s.amount
		pinned = append(pinned, Burn{s.id, s.amount})
	}
	h.pinned = append(h.pinned, pinned...)
	return pinned
}

// unpin takes amount of what h pins, from the front; spent says that it is
// burned, otherwise it can be spent again or is closed.
func (a *account) unpin(h *hold, amount int64, spent bool) (taken []Burn) {
	a.held -= amount
	for amount > 0 {
		take := min(amount, h.pinned[0].Amount)
		l := a.byID[h.pinned[0].GrantID]
		l.held -= take
		l.changed = true
		if spent {
			l.remaining -= take
		} else {
			a.watch(l)
		}
		taken = append(taken, Burn{l.id, take})
		amount -= take
		if h.pinned[0].Amount -= take; h.pinned[0].Amount == 0 {
			h.pinned = h.pinned[1:]
		}
	}
	return taken
}
