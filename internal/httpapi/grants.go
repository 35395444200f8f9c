package httpapi

import (
	"context"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/creditledger"
)

// GrantUserCredits serves POST /v1/users/{user_id}/credits/grants.
func (s *server) GrantUserCredits(ctx context.Context, r apigen.GrantUserCreditsRequestObject) (apigen.GrantUserCreditsResponseObject, error) {
	receipt, err := s.o.Ledger.Grant(ctx, callOf(ctx).ledgerRequest(), toGrantParams(r.UserID, *r.Body))
	return apigen.GrantUserCredits201JSONResponse{TransactionAppliedJSONResponse: toApplied(receipt)}, err
}

func toGrantParams(userID uuid.UUID, r apigen.GrantRequest) creditledger.GrantParams {
	priority := int16(creditledger.DefaultPriority)
	if r.Priority != nil {
		priority = int16(*r.Priority) //nolint:gosec // 0 to 100
	}
	return creditledger.GrantParams{
		UserID: userID, Amount: r.Amount, ExpiresAt: r.ExpiresAt, Priority: priority,
		Reference: r.Reference, Note: toNote(r.Description, r.Metadata),
	}
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

// RevokeCreditGrant serves POST /v1/credits/grants/{grant_id}/revoke.
func (s *server) RevokeCreditGrant(ctx context.Context, r apigen.RevokeCreditGrantRequestObject) (apigen.RevokeCreditGrantResponseObject, error) {
	receipt, err := s.o.Ledger.RevokeGrant(ctx, callOf(ctx).ledgerRequest(), r.GrantID)
	return apigen.RevokeCreditGrant201JSONResponse{TransactionAppliedJSONResponse: toApplied(receipt)}, err
}
