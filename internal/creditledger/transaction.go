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

// The types of transactions.
const (
	TypeGrant       TransactionType = "grant"        // credits came in
	TypeDebit       TransactionType = "debit"        // credits were spent
	TypeCapture     TransactionType = "capture"      // held credits were spent
	TypeReversal    TransactionType = "reversal"     // a transaction was undone, in whole or in part
	TypeTransferIn  TransactionType = "transfer_in"  // credits came from another user
	TypeTransferOut TransactionType = "transfer_out" // credits went to another user
	TypeExpiry      TransactionType = "expiry"       // credits of a grant expired
	TypeRevocation  TransactionType = "revocation"   // credits of a grant were revoked
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

// system is the service itself.
var system = Actor{Type: ActorSystem}

// Note is the free text of a transaction or a hold. It is stored apart from it,
// so that it can be erased.
type Note struct {
	Description *string
	Metadata    json.RawMessage // compact JSON object, nil for none
}

func (n Note) empty() bool { return n.Description == nil && n.Metadata == nil }

// seal returns a salt and the digest under it, which is what the chain holds of
// the text; nil for no text.
func (n Note) seal() (salt, digest []byte) {
	if n.empty() {
		return nil, nil
	}
	salt = newSalt()
	return salt, digestNote(salt, n)
}

// Burn is what a transaction took from one grant, or what a hold pins of it.
type Burn struct {
	GrantID uuid.UUID `json:"grant_id"`
	Amount  int64     `json:"amount"` // negative where it was given back
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
	HoldID         *uuid.UUID // the hold that it captured
	ReversesID     *uuid.UUID // the transaction that it undid
	GrantID        *uuid.UUID // the grant that it made or closed
	TransferID     *uuid.UUID // the same in both halves of a transfer
	Burned         []Burn     // in the order taken; adds up to -Amount, but for a grant
	Actor          Actor
	IdempotencyKey *string
	Hash           [32]byte
	CreatedAt      time.Time

	// What the chain covers beside the columns; see chain.go.
	noteSalt    []byte
	noteDigest  []byte
	fingerprint []byte
	made        []*lot
}

func transactionFrom(row dbgen.CreditTransaction, description *string, metadata []byte) (Transaction, error) {
	t := Transaction{
		UserID: row.UserID, Sequence: row.Sequence, ID: row.ID, Type: TransactionType(row.Type),
		Amount: row.Amount, BalanceAfter: row.BalanceAfter, Reference: row.Reference,
		Note:   Note{Description: description, Metadata: metadata},
		HoldID: row.HoldID, ReversesID: row.ReversesID, GrantID: row.GrantID, TransferID: row.TransferID,
		Actor:          actorFrom(row.ActorType, row.ActorID),
		IdempotencyKey: row.IdempotencyKey, Hash: [32]byte(row.Hash), CreatedAt: row.CreatedAt,
	}
	var err error
	if t.Burned, err = burnsFrom(row.Burned); err != nil {
		return Transaction{}, fmt.Errorf("reading what transaction %s burned: %w", row.ID, err)
	}
	return t, nil
}

func actorFrom(kind string, id *uuid.UUID) Actor {
	a := Actor{Type: ActorType(kind)}
	if id != nil {
		a.ID = *id
	}
	return a
}

func burnsFrom(column json.RawMessage) (burns []Burn, err error) {
	if string(column) == "[]" {
		return nil, nil
	}
	err = json.Unmarshal(column, &burns)
	return burns, err
}

func burnsColumn(burns []Burn) json.RawMessage {
	if len(burns) == 0 {
		return json.RawMessage("[]")
	}
	column, _ := json.Marshal(burns) // ids and integers: cannot fail
	return column
}
