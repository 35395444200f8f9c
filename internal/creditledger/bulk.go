package creditledger

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/apperr"
)

// BulkOperation is one operation of a batch: GrantParams, DebitParams or TransferParams.
type BulkOperation interface {
	accounts() []uuid.UUID
	check() error
	// apply decides and records, or returns a refusal and changes nothing.
	apply(*desk, *Request) ([]*Transaction, error)
}

// BulkResult is what became of one operation of a batch: its transactions (two
// of a transfer, the sender's first), or the answer that refuses it.
type BulkResult struct {
	Transactions []Transaction
	Status       int    // of the refusal, 0 for none
	Problem      []byte // its body
}

// BulkReceipt is what became of a batch.
type BulkReceipt struct {
	Results  []BulkResult
	Replayed bool
}

// Bulk does many operations in their order. When atomic, all are done or none:
// the first refusal is that of the batch. Otherwise each stands for itself.
// Errors: those of its operations, ErrKeyReused.
func (l *Ledger) Bulk(ctx context.Context, r Request, atomic bool, operations []BulkOperation) (BulkReceipt, error) {
	op := &operation{Request: r, weight: len(operations)}
	for i, o := range operations {
		if err := o.check(); err != nil && atomic {
			return BulkReceipt{}, ofOperation(i, err)
		}
		op.accounts = append(op.accounts, o.accounts()...)
	}
	op.decide = func(d *desk, r *Request) (outcome, error) {
		if atomic {
			return d.atomically(r, op.accounts, operations)
		}
		return d.independently(r, operations)
	}
	o, err := l.post(ctx, op)
	if err != nil {
		return BulkReceipt{}, err
	}
	receipt := BulkReceipt{Results: make([]BulkResult, len(o.parts)), Replayed: o.replayed}
	for i, p := range o.parts {
		receipt.Results[i] = BulkResult{Status: p.status, Problem: p.problem}
		for _, t := range p.made {
			receipt.Results[i].Transactions = append(receipt.Results[i].Transactions, *t)
		}
	}
	return receipt, nil
}

func (d *desk) atomically(r *Request, accounts []uuid.UUID, operations []BulkOperation) (o outcome, err error) {
	before := d.cloneAccounts(accounts)
	for i, operation := range operations {
		made, err := d.applyOne(r, operation)
		if isRefusal(err) {
			maps.Copy(d.accounts, before)
			return outcome{}, ofOperation(i, err)
		}
		if err != nil {
			return outcome{}, err
		}
		o.parts = append(o.parts, part{made: made})
	}
	return o, nil
}

func (d *desk) independently(r *Request, operations []BulkOperation) (o outcome, err error) {
	for i, operation := range operations {
		made, err := d.applyOne(r, operation)
		p := part{made: made}
		switch {
		case isRefusal(err):
			if len(apperr.From(err).Fields) > 0 {
				err = ofOperation(i, err)
			}
			p.status, p.problem = r.Refusal(apperr.From(err))
		case err != nil:
			return outcome{}, err
		}
		o.parts = append(o.parts, p)
	}
	return o, nil
}

// applyOne does what the poster does around a single operation.
func (d *desk) applyOne(r *Request, o BulkOperation) ([]*Transaction, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := d.touch(o.accounts()); err != nil {
		return nil, err
	}
	made, err := o.apply(d, r)
	if err != nil {
		return nil, err
	}
	d.finish(o.accounts())
	return made, nil
}

// ofOperation says which operation of a batch a refusal speaks of.
func ofOperation(i int, err error) error {
	e := apperr.From(err)
	at := fmt.Sprintf("/operations/%d", i)
	if len(e.Fields) == 0 {
		return e.WithFields(apperr.Field{Pointer: at, Message: "is refused: " + e.Code})
	}
	fields := slices.Clone(e.Fields)
	for i := range fields {
		fields[i].Pointer = at + fields[i].Pointer
	}
	return e.WithFields(fields...)
}
