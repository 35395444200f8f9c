package httpapi

import (
	"encoding/hex"

	"github.com/oapi-codegen/nullable"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/creditledger"
)

func (s *server) toBalance(b creditledger.Balance) apigen.Balance {
	out := apigen.Balance{
		UserID: b.UserID, Balance: b.Balance, Held: b.Held, Available: b.Available(), Scale: s.o.Scale,
		Sequence: b.Sequence, NextExpiry: nullable.NewNullNullable[apigen.NextExpiry](), UpdatedAt: b.UpdatedAt,
	}
	if b.NextExpiry != nil {
		out.NextExpiry.Set(apigen.NextExpiry{Amount: b.NextExpiry.Amount, At: b.NextExpiry.At})
	}
	return out
}

// toFound is the answer to a question about a balance.
func (s *server) toFound(b creditledger.Balance) apigen.BalanceFoundJSONResponse {
	return apigen.BalanceFoundJSONResponse{Body: s.toBalance(b)}
}

func toTransaction(t creditledger.Transaction) apigen.Transaction {
	burned := make([]apigen.Burn, len(t.Burned))
	for i, b := range t.Burned {
		burned[i] = apigen.Burn{GrantID: b.GrantID, Amount: b.Amount}
	}
	return apigen.Transaction{
		ID: t.ID, UserID: t.UserID, Sequence: t.Sequence, Type: apigen.TransactionType(t.Type),
		Amount: t.Amount, BalanceAfter: t.BalanceAfter, Reference: orNull(t.Reference),
		Description: orNull(t.Note.Description), Metadata: orEmpty(t.Note.Metadata),
		HoldID: orNull(t.HoldID), ReversesID: orNull(t.ReversesID), GrantID: orNull(t.GrantID),
		TransferID: orNull(t.TransferID), Burned: burned, Actor: apigen.Actor{Type: apigen.ActorType(t.Actor.Type), ID: idOrNull(t.Actor.ID)},
		Hash: hex.EncodeToString(t.Hash[:]), CreatedAt: t.CreatedAt,
	}
}

// toApplied is the answer to a request that moved credits.
func toApplied(r creditledger.Receipt) apigen.TransactionAppliedJSONResponse {
	out := apigen.TransactionAppliedJSONResponse{Body: toTransaction(r.Transaction)}
	out.Headers.IdempotentReplayed = toReplayed(r.Replayed)
	return out
}

func toHold(h creditledger.Hold) apigen.Hold {
	return apigen.Hold{
		ID: h.ID, UserID: h.UserID, Amount: h.Amount, CapturedAmount: h.Captured, Status: apigen.HoldStatus(h.Status),
		ExpiresAt: h.ExpiresAt, Reference: orNull(h.Reference), Description: orNull(h.Note.Description), Metadata: orEmpty(h.Note.Metadata),
		TransactionID: orNull(h.TransactionID), CreatedAt: h.CreatedAt, UpdatedAt: h.UpdatedAt,
	}
}

// toChanged is the answer to a request that changed a hold.
func toChanged(r creditledger.HoldReceipt) apigen.HoldChangedJSONResponse {
	out := apigen.HoldChangedJSONResponse{Body: toHold(r.Hold)}
	out.Headers.IdempotentReplayed = toReplayed(r.Replayed)
	return out
}

// toReplayed is the header of an answer that was given before.
func toReplayed(replayed bool) *string {
	if !replayed {
		return nil
	}
	return new("true")
}

// toNote is the free text of a request. An empty description is none.
func toNote(description *apigen.Description, metadata *apigen.Metadata) creditledger.Note {
	if description != nil && *description == "" {
		description = nil
	}
	return creditledger.Note{Description: description, Metadata: compact(metadata)}
}

func toGrant(g creditledger.Grant) apigen.Grant {
	return apigen.Grant{
		ID: g.ID, UserID: g.UserID, Amount: g.Amount, Remaining: g.Remaining, Held: g.Held, Priority: int(g.Priority),
		ExpiresAt: orNull(g.ExpiresAt), Status: apigen.GrantStatus(g.Status), TransactionID: g.TransactionID,
		Reference: orNull(g.Reference), CreatedAt: g.CreatedAt,
	}
}
