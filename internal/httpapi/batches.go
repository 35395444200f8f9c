package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/creditledger"
)

// ApplyCreditBatch serves POST /v1/credits/batches.
func (s *server) ApplyCreditBatch(ctx context.Context, r apigen.ApplyCreditBatchRequestObject) (apigen.ApplyCreditBatchResponseObject, error) {
	operations := make([]creditledger.BulkOperation, len(r.Body.Operations))
	for i, o := range r.Body.Operations {
		var err error
		if operations[i], err = toBulkOperation(o); err != nil {
			if wrongType := new(json.UnmarshalTypeError); errors.As(err, &wrongType) {
				wrongType.Field = fmt.Sprintf("operations.%d.%s", i, wrongType.Field) // where it stands in the body
			}
			return nil, err
		}
	}
	receipt, err := s.o.Ledger.Bulk(ctx, callOf(ctx).ledgerRequest(), r.Body.Mode == apigen.BatchModeAtomic, operations)
	if err != nil {
		return nil, err
	}
	applied := apigen.ApplyCreditBatch200JSONResponse{Body: apigen.Batch{Results: make([]apigen.BatchResult, len(receipt.Results))}}
	applied.Headers.IdempotentReplayed = toReplayed(receipt.Replayed)
	for i, result := range receipt.Results {
		if applied.Body.Results[i], err = toBatchResult(result); err != nil {
			return nil, fmt.Errorf("reading result %d of a batch: %w", i, err)
		}
		if problem := applied.Body.Results[i].Problem; problem != nil {
			s.o.Metrics.Refused(problem.Code)
		}
	}
	return applied, nil
}

func toBulkOperation(o apigen.BatchOperation) (creditledger.BulkOperation, error) {
	value, err := o.ValueByDiscriminator()
	if err != nil {
		return nil, err
	}
	switch v := value.(type) {
	case apigen.BatchGrant:
		return toGrantParams(v.UserID, apigen.GrantRequest{
			Amount: v.Amount, ExpiresAt: v.ExpiresAt, Priority: v.Priority, Reference: v.Reference, Description: v.Description, Metadata: v.Metadata,
		}), nil
	case apigen.BatchDebit:
		return toDebitParams(v.UserID, apigen.DebitRequest{
			Amount: v.Amount, AllowPartial: v.AllowPartial, Reference: v.Reference, Description: v.Description, Metadata: v.Metadata,
		}), nil
	case apigen.BatchTransfer:
		return toTransferParams(apigen.TransferRequest{
			FromUserID: v.FromUserID, ToUserID: v.ToUserID, Amount: v.Amount, Reference: v.Reference, Description: v.Description, Metadata: v.Metadata,
		}), nil
	}
	return nil, fmt.Errorf("no operation is a %T", value)
}

func toBatchResult(r creditledger.BulkResult) (out apigen.BatchResult, err error) {
	switch len(r.Transactions) {
	case 0:
		err = json.Unmarshal(r.Problem, &out.Problem)
	case 1:
		out.Transaction = new(toTransaction(r.Transactions[0]))
	default:
		out.Transfer = new(toTransfer(r.Transactions[0], r.Transactions[1]))
	}
	return out, err
}
