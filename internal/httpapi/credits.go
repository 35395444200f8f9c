package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/creditledger"
)

// GetMyCredits serves GET /v1/me/credits.
func (s *server) GetMyCredits(ctx context.Context, _ apigen.GetMyCreditsRequestObject) (apigen.GetMyCreditsResponseObject, error) {
	found, err := s.balance(ctx, callOf(ctx).caller.UserID)
	return apigen.GetMyCredits200JSONResponse{BalanceFoundJSONResponse: found}, err
}

// GetUserCredits serves GET /v1/users/{user_id}/credits.
func (s *server) GetUserCredits(ctx context.Context, r apigen.GetUserCreditsRequestObject) (apigen.GetUserCreditsResponseObject, error) {
	found, err := s.balance(ctx, r.UserID)
	return apigen.GetUserCredits200JSONResponse{BalanceFoundJSONResponse: found}, err
}

func (s *server) balance(ctx context.Context, userID uuid.UUID) (apigen.BalanceFoundJSONResponse, error) {
	balance, err := s.o.Ledger.Balance(ctx, userID)
	return apigen.BalanceFoundJSONResponse{Body: s.toBalance(balance)}, err
}

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

// transactionQuery is the query that both lists take; the generator gives each a type of its own.
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
	page := apigen.TransactionPage{Items: make([]apigen.Transaction, len(transactions)), NextCursor: nullable.NewNullNullable[string]()}
	for i, t := range transactions {
		page.Items[i] = toTransaction(t)
	}
	if more {
		page.NextCursor = transactionList.cursor(transactions[len(transactions)-1].Sequence, 0)
	}
	listed.Body = page
	return listed, nil
}

// DebitMyCredits serves POST /v1/me/credits/debits.
func (s *server) DebitMyCredits(ctx context.Context, r apigen.DebitMyCreditsRequestObject) (apigen.DebitMyCreditsResponseObject, error) {
	applied, err := s.debit(ctx, callOf(ctx).caller.UserID, r.Body)
	return apigen.DebitMyCredits201JSONResponse{TransactionAppliedJSONResponse: applied}, err
}

// DebitUserCredits serves POST /v1/users/{user_id}/credits/debits.
func (s *server) DebitUserCredits(ctx context.Context, r apigen.DebitUserCreditsRequestObject) (apigen.DebitUserCreditsResponseObject, error) {
	applied, err := s.debit(ctx, r.UserID, r.Body)
	return apigen.DebitUserCredits201JSONResponse{TransactionAppliedJSONResponse: applied}, err
}

func (s *server) debit(ctx context.Context, userID uuid.UUID, body *apigen.DebitRequest) (apigen.TransactionAppliedJSONResponse, error) {
	receipt, err := s.o.Ledger.Debit(ctx, callOf(ctx).ledgerRequest(), creditledger.DebitParams{
		UserID: userID, Amount: body.Amount, AllowPartial: body.AllowPartial != nil && *body.AllowPartial, Reference: body.Reference,
		Note: creditledger.Note{Description: body.Description, Metadata: compact(body.Metadata)},
	})
	return toApplied(receipt), err
}

// GrantUserCredits serves POST /v1/users/{user_id}/credits/grants.
func (s *server) GrantUserCredits(ctx context.Context, r apigen.GrantUserCreditsRequestObject) (apigen.GrantUserCreditsResponseObject, error) {
	priority := int16(creditledger.DefaultPriority)
	if r.Body.Priority != nil {
		priority = int16(*r.Body.Priority) //nolint:gosec // 0 to 100
	}
	receipt, err := s.o.Ledger.Grant(ctx, callOf(ctx).ledgerRequest(), creditledger.GrantParams{
		UserID: r.UserID, Amount: r.Body.Amount, ExpiresAt: r.Body.ExpiresAt, Priority: priority, Reference: r.Body.Reference,
		Note: creditledger.Note{Description: r.Body.Description, Metadata: compact(r.Body.Metadata)},
	})
	return apigen.GrantUserCredits201JSONResponse{TransactionAppliedJSONResponse: toApplied(receipt)}, err
}

// ListUserCreditGrants serves GET /v1/users/{user_id}/credits/grants.
func (s *server) ListUserCreditGrants(ctx context.Context, r apigen.ListUserCreditGrantsRequestObject) (apigen.ListUserCreditGrantsResponseObject, error) {
	sequence, part, err := grantList.before(r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	grants, more, err := s.o.Ledger.Grants(ctx, r.UserID, creditledger.GrantPlace{Sequence: sequence, Part: part}, limitOf(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	page := apigen.GrantPage{Items: make([]apigen.Grant, len(grants)), NextCursor: nullable.NewNullNullable[string]()}
	for i, g := range grants {
		page.Items[i] = toGrant(g)
	}
	if more {
		last := grants[len(grants)-1].Place()
		page.NextCursor = grantList.cursor(last.Sequence, last.Part)
	}
	return apigen.ListUserCreditGrants200JSONResponse{Body: page}, nil
}
