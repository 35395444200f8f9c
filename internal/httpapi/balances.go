package httpapi

import (
	"context"

	"github.com/authservice/authservice/internal/apigen"
)

// GetMyCredits serves GET /v1/me/credits.
func (s *server) GetMyCredits(ctx context.Context, _ apigen.GetMyCreditsRequestObject) (apigen.GetMyCreditsResponseObject, error) {
	balance, err := s.o.Ledger.Balance(ctx, callOf(ctx).caller.UserID)
	return apigen.GetMyCredits200JSONResponse{BalanceFoundJSONResponse: s.toFound(balance)}, err
}

// GetUserCredits serves GET /v1/users/{user_id}/credits.
func (s *server) GetUserCredits(ctx context.Context, r apigen.GetUserCreditsRequestObject) (apigen.GetUserCreditsResponseObject, error) {
	if at := r.Params.At; at != nil {
		balance, err := s.o.Ledger.BalanceAt(ctx, r.UserID, *at)
		return apigen.GetUserCredits200JSONResponse{BalanceFoundJSONResponse: s.toFound(balance)}, err
	}
	balance, err := s.o.Ledger.Balance(ctx, r.UserID)
	return apigen.GetUserCredits200JSONResponse{BalanceFoundJSONResponse: s.toFound(balance)}, err
}
