package creditledger

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/dbgen"
)

// HoldStatus is the state of a hold; all but HoldActive are final.
type HoldStatus string

// The states of a hold.
const (
	HoldActive   HoldStatus = "active"
	HoldCaptured HoldStatus = "captured"
	HoldVoided   HoldStatus = "voided"
	HoldExpired  HoldStatus = "expired"
)

// Hold is credits set apart, to be captured or let go.
type Hold struct {
	ID            uuid.UUID
	UserID        uuid.UUID
	Amount        int64 // with all increments
	Captured      int64
	Status        HoldStatus
	ExpiresAt     time.Time
	Reference     *string
	Note          Note
	TransactionID *uuid.UUID // the newest capture
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// HoldEventType says what happened to a hold.
type HoldEventType string

// What happens to holds.
const (
	EventPlaced      HoldEventType = "placed"
	EventIncremented HoldEventType = "incremented"
	EventCaptured    HoldEventType = "captured"
	EventVoided      HoldEventType = "voided"
	EventExpired     HoldEventType = "expired"
)

// HoldEvent is one change of one hold, a link of its account's chain. It never changes.
type HoldEvent struct {
	UserID         uuid.UUID
	Number         int64 // 1, 2, 3 … in its account
	Type           HoldEventType
	Hold           Hold   // as it was afterwards
	Pinned         []Burn // what was pinned; negative what was let go or captured
	HeldAfter      int64  // by all holds of the account
	Actor          Actor
	IdempotencyKey *string
	Hash           [32]byte

	// What the chain covers beside the columns.
	noteDigest  []byte // with EventPlaced
	fingerprint []byte
}

// hold is a hold as a posting sees it.
type hold struct {
	Hold
	pinned   []Burn // what it still pins, in the order in which it will be taken
	noteSalt []byte // set with isNew
	isNew    bool
	changed  bool
}

// left is what is still held.
func (h *hold) left() int64 { return h.Amount - h.Captured }

// due says whether it is over by itself.
func (h *hold) due(at time.Time) bool { return h.Status == HoldActive && !h.ExpiresAt.After(at) }

func holdFrom(row dbgen.CreditHold) (*hold, error) {
	pinned, err := burnsFrom(row.Pinned)
	if err != nil {
		return nil, fmt.Errorf("reading what hold %s pins: %w", row.ID, err)
	}
	return &hold{
		Hold: Hold{
			ID: row.ID, UserID: row.UserID, Amount: row.Amount, Captured: row.Captured, Status: HoldStatus(row.Status),
			ExpiresAt: row.ExpiresAt, Reference: row.Reference, TransactionID: row.TransactionID,
			CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
		},
		pinned: pinned,
	}, nil
}
