package httpapi

import (
	"context"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/creditledger"
)

// ReverseCreditTransaction serves POST /v1/credits/transactions/{transaction_id}/reversals.
func (s *server) ReverseCreditTransaction(ctx context.Context, r apigen.ReverseCreditTransactionRequestObject) (apigen.ReverseCreditTransactionResponseObject, error) {
	receipt, err := s.o.Ledger.Reverse(ctx, callOf(ctx).ledgerRequest(), r.TransactionID, creditledger.ReversalParams{
		Amount: r.Body.Amount, Description: toNote(r.Body.Description, nil).Description,
	})
	return apigen.ReverseCreditTransaction201JSONResponse{TransactionAppliedJSONResponse: toApplied(receipt)}, err
}
