package ordeal

import (
	"encoding/json"
	"fmt"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/authservice/authservice/api/authclient"
)

// account is one that only a single client uses, so that it knows at any moment
// what is in it, whatever happened on the way.
type account struct {
	id                      uuid.UUID
	balance, held, sequence int64
	holds                   []*hold // newest last
	debits                  []*spent
}

func (a *account) available() int64 { return a.balance - a.held }

// oldest is the hold that was placed first of those that are not over, nil for none.
func (a *account) oldest() *hold {
	for _, h := range a.holds {
		if h.status == authclient.HoldStatusActive {
			return h
		}
	}
	return nil
}

// post moves the balance by a transaction.
func (a *account) post(amount int64) (after balance) {
	a.balance += amount
	a.sequence++
	return a.now()
}

func (a *account) now() balance { return balance{a.balance, a.held, a.sequence} }

// balance is an account at a moment.
type balance struct{ Balance, Held, Sequence int64 }

// hold is one that a client placed.
type hold struct {
	id               uuid.UUID
	account          uuid.UUID
	amount, captured int64
	status           authclient.HoldStatus
}

func (h *hold) left() int64 { return h.amount - h.captured }

// spent is a debit, and what of it has not been given back.
type spent struct {
	id   uuid.UUID
	left int64
}

// most is how many holds and debits of an account are kept in mind.
const most = 12

func remember[T any](list []T, one T) []T {
	if len(list) >= most {
		list = list[1:]
	}
	return append(list, one)
}

// expected is what must be answered.
type expected struct {
	status int
	code   string // of a refusal
	// match compares the body with what it must say, and returns what differs.
	match func(body []byte) string
}

func refusal(status int, code string) *expected {
	return &expected{status: status, code: code, match: func(body []byte) string {
		var p authclient.Problem
		if err := json.Unmarshal(body, &p); err != nil {
			return err.Error()
		}
		return cmp.Diff(code, p.Code)
	}}
}

// answering is for bodies that decode to T, of which view shows what matters.
func answering[T, V any](status int, want V, view func(T) V) *expected {
	return &expected{status: status, match: func(body []byte) string {
		var got T
		if err := json.Unmarshal(body, &got); err != nil {
			return err.Error()
		}
		return cmp.Diff(want, view(got))
	}}
}

// posting is what a client must be told of a transaction.
type posting struct {
	User                    uuid.UUID
	Type                    authclient.TransactionType
	Amount, After, Sequence int64
}

func viewPosting(t authclient.Transaction) posting {
	return posting{t.UserID, t.Type, t.Amount, t.BalanceAfter, t.Sequence}
}

func viewTransfer(t authclient.Transfer) [2]posting {
	return [2]posting{viewPosting(t.Debit), viewPosting(t.Credit)}
}

// holding is the same for a hold.
type holding struct {
	User             uuid.UUID
	Amount, Captured int64
	Status           authclient.HoldStatus
}

func viewHold(h authclient.Hold) holding {
	return holding{h.UserID, h.Amount, h.CapturedAmount, h.Status}
}

func viewBalance(b authclient.Balance) balance {
	if b.Available != b.Balance-b.Held {
		return balance{}
	}
	return balance{b.Balance, b.Held, b.Sequence}
}

// judge says what is wrong with an answer, or nothing.
func (e *expected) judge(status int, body []byte) string {
	if e == nil {
		return ""
	}
	if status != e.status {
		return fmt.Sprintf("answered %d where it must be %d %s: %s", status, e.status, e.code, body)
	}
	return e.match(body)
}
