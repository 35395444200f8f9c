package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/creditledger"
)

// ListMyCreditTransactions serves GET /v1/me/credits/transactions.
func (s *server) ListMyCreditTransactions(ctx context.Context, r apigen.ListMyCreditTransactionsRequestObject) (apigen.ListMyCreditTransactionsResponseObject, error) {
	p := r.Params
	listed, err := s.transactions(ctx, callOf(ctx).caller.UserID, transactionQuery{p.Type, p.Reference, p.From, p.To, p.Limit, p.Cursor})
	return apigen.ListMyCreditTransactions200JSONResponse{TransactionsListedJSONResponse: listed}, err
}

// ListUserCreditTransactions serves GET /v1/users/{user_id}/credits/transactions.
func (s *server) ListUserCreditTransactions(ctx context.Context, r apigen.ListUserCreditTransactionsRequestObject) (apigen.ListUserCreditTransactionsResponseObject, error) {
	p := r.Params
	listed, err := s.transactions(ctx, r.UserID, transactionQuery{p.Type, p.Reference, p.From, p.To, p.Limit, p.Cursor})
	return apigen.ListUserCreditTransactions200JSONResponse{TransactionsListedJSONResponse: listed}, err
}

// ListCreditTransactions serves GET /v1/credits/transactions.
func (s *server) ListCreditTransactions(ctx context.Context, r apigen.ListCreditTransactionsRequestObject) (apigen.ListCreditTransactionsResponseObject, error) {
	p := r.Params
	before, err := idBefore(p.Cursor)
	if err != nil {
		return nil, err
	}
	transactions, more, err := s.o.Ledger.AllTransactions(ctx, creditledger.AllTransactionsFilter{
		Type: (*string)(p.Type), Reference: p.Reference, From: p.From, To: p.To, Before: before, Limit: limitOf(p.Limit),
	})
	if err != nil {
		return nil, err
	}
	page := toTransactionPage(transactions)
	if more {
		page.NextCursor = idCursor(transactions[len(transactions)-1].ID)
	}
	return apigen.ListCreditTransactions200JSONResponse{TransactionsListedJSONResponse: apigen.TransactionsListedJSONResponse{Body: page}}, nil
}

// transactionQuery is the query that both lists of one user take; the generator
// gives each a type of its own.
type transactionQuery struct {
	Type      *apigen.TransactionType
	Reference *string
	From, To  *time.Time
	Limit     *int
	Cursor    *string
}

func (s *server) transactions(ctx context.Context, userID uuid.UUID, q transactionQuery) (listed apigen.TransactionsListedJSONResponse, err error) {
	before, _, err := transactionList.before(q.Cursor)
	if err != nil {
		return listed, err
	}
	transactions, more, err := s.o.Ledger.Transactions(ctx, userID, creditledger.TransactionFilter{
		Type: (*string)(q.Type), Reference: q.Reference, From: q.From, To: q.To, Before: before, Limit: limitOf(q.Limit),
	})
	if err != nil {
		return listed, err
	}
	listed.Body = toTransactionPage(transactions)
	if more {
		listed.Body.NextCursor = transactionList.cursor(transactions[len(transactions)-1].Sequence, 0)
	}
	return listed, nil
}

func toTransactionPage(transactions []creditledger.Transaction) apigen.TransactionPage {
	page := apigen.TransactionPage{Items: make([]apigen.Transaction, len(transactions)), NextCursor: nullable.NewNullNullable[string]()}
	for i, t := range transactions {
		page.Items[i] = toTransaction(t)
	}
	return page
}
