package httpapi

import (
	"context"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/creditledger"
)

// TransferCredits serves POST /v1/credits/transfers.
func (s *server) TransferCredits(ctx context.Context, r apigen.TransferCreditsRequestObject) (apigen.TransferCreditsResponseObject, error) {
	receipt, err := s.o.Ledger.Transfer(ctx, callOf(ctx).ledgerRequest(), toTransferParams(*r.Body))
	applied := apigen.TransferCredits201JSONResponse{Body: toTransfer(receipt.Debit, receipt.Credit)}
	applied.Headers.IdempotentReplayed = toReplayed(receipt.Replayed)
	return applied, err
}

func toTransferParams(r apigen.TransferRequest) creditledger.TransferParams {
	return creditledger.TransferParams{
		FromUserID: r.FromUserID, ToUserID: r.ToUserID, Amount: r.Amount,
		Reference: r.Reference, Note: toNote(r.Description, r.Metadata),
	}
}

func toTransfer(debit, credit creditledger.Transaction) apigen.Transfer {
	return apigen.Transfer{Debit: toTransaction(debit), Credit: toTransaction(credit)}
}
