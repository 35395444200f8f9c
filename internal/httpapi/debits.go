package httpapi

import (
	"context"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/creditledger"
)

// DebitMyCredits serves POST /v1/me/credits/debits.
func (s *server) DebitMyCredits(ctx context.Context, r apigen.DebitMyCreditsRequestObject) (apigen.DebitMyCreditsResponseObject, error) {
	call := callOf(ctx)
	receipt, err := s.o.Ledger.Debit(ctx, call.ledgerRequest(), toDebitParams(call.caller.UserID, *r.Body))
	return apigen.DebitMyCredits201JSONResponse{TransactionAppliedJSONResponse: toApplied(receipt)}, err
}

// DebitUserCredits serves POST /v1/users/{user_id}/credits/debits.
func (s *server) DebitUserCredits(ctx context.Context, r apigen.DebitUserCreditsRequestObject) (apigen.DebitUserCreditsResponseObject, error) {
	receipt, err := s.o.Ledger.Debit(ctx, callOf(ctx).ledgerRequest(), toDebitParams(r.UserID, *r.Body))
	return apigen.DebitUserCredits201JSONResponse{TransactionAppliedJSONResponse: toApplied(receipt)}, err
}

func toDebitParams(userID uuid.UUID, r apigen.DebitRequest) creditledger.DebitParams {
	return creditledger.DebitParams{
		UserID: userID, Amount: r.Amount, AllowPartial: r.AllowPartial != nil && *r.AllowPartial,
		Reference: r.Reference, Note: toNote(r.Description, r.Metadata),
	}
}
