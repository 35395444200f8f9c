package creditledger

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/dbgen"
)

// TransactionType says what a transaction did.
type TransactionType string

// The types that this version makes. The schema and the contract name more.
const (
	TypeGrant  TransactionType = "grant"
	TypeDebit  TransactionType = "debit"
	TypeExpiry TransactionType = "expiry"
)

// ActorType is the kind of caller.
type ActorType string

// The kinds of callers; System is the service itself, and has no id.
const (
	ActorUser   ActorType = "user"
	ActorAPIKey ActorType = "api_key"
	ActorSystem ActorType = "system"
)

// Actor is who caused a transaction.
type Actor struct {
	Type ActorType
	ID   uuid.UUID // uuid.Nil for the system
}

// Note is the free text of a transaction. It is stored apart from the
// transaction, so that it can be erased.
type Note struct {
	Description *string
	Metadata    json.RawMessage // compact JSON object, nil for none
}

func (n Note) empty() bool { return n.Description == nil && n.Metadata == nil }

// Burn is what a transaction took from one grant.
type Burn struct {
	GrantID uuid.UUID `json:"grant_id"`
	Amount  int64     `json:"amount"`
}

// Transaction is one applied change of one account. It never changes.
type Transaction struct {
	UserID         uuid.UUID
	Sequence       int64 // 1, 2, 3 … in its account
	ID             uuid.UUID
	Type           TransactionType
	Amount         int64 // in the smallest unit; negative when it took credits
	BalanceAfter   int64
	Reference      *string
	Note           Note
	HoldID         *uuid.UUID
	ReversesID     *uuid.UUID
	GrantID        *uuid.UUID // the grant it made or closed
	Burned         []Burn     // in the order taken
	Actor          Actor
	IdempotencyKey *string
	Hash           [32]byte
	CreatedAt      time.Time

	// What the chain covers beside the columns; see chain.go.
	noteSalt    []byte
	noteDigest  []byte
	fingerprint []byte
	grant       *lot
}

func transactionFrom(row dbgen.CreditTransaction, description *string, metadata []byte) (Transaction, error) {
	t := Transaction{
		UserID: row.UserID, Sequence: row.Sequence, ID: row.ID, Type: TransactionType(row.Type),
		Amount: row.Amount, BalanceAfter: row.BalanceAfter, Reference: row.Reference,
		Note:   Note{Description: description, Metadata: metadata},
		HoldID: row.HoldID, ReversesID: row.ReversesID, GrantID: row.GrantID,
		Actor:          Actor{Type: ActorType(row.ActorType)},
		IdempotencyKey: row.IdempotencyKey, Hash: [32]byte(row.Hash), CreatedAt: row.CreatedAt,
	}
	if row.ActorID != nil {
		t.Actor.ID = *row.ActorID
	}
	if err := json.Unmarshal(row.Burned, &t.Burned); err != nil {
		return Transaction{}, fmt.Errorf("reading what transaction %s burned: %w", row.ID, err)
	}
	return t, nil
}
