package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/creditledger"
)

// ListMyCreditHolds serves GET /v1/me/credits/holds.
func (s *server) ListMyCreditHolds(ctx context.Context, r apigen.ListMyCreditHoldsRequestObject) (apigen.ListMyCreditHoldsResponseObject, error) {
	listed, err := s.holds(ctx, callOf(ctx).caller.UserID, r.Params.Cursor, r.Params.Limit)
	return apigen.ListMyCreditHolds200JSONResponse{HoldsListedJSONResponse: listed}, err
}

// ListUserCreditHolds serves GET /v1/users/{user_id}/credits/holds.
func (s *server) ListUserCreditHolds(ctx context.Context, r apigen.ListUserCreditHoldsRequestObject) (apigen.ListUserCreditHoldsResponseObject, error) {
	listed, err := s.holds(ctx, r.UserID, r.Params.Cursor, r.Params.Limit)
	return apigen.ListUserCreditHolds200JSONResponse{HoldsListedJSONResponse: listed}, err
}

func (s *server) holds(ctx context.Context, userID uuid.UUID, cursor *string, limit *int) (listed apigen.HoldsListedJSONResponse, err error) {
	before, err := idBefore(cursor)
	if err != nil {
		return listed, err
	}
	holds, more, err := s.o.Ledger.Holds(ctx, userID, before, limitOf(limit))
	if err != nil {
		return listed, err
	}
	listed.Body = apigen.HoldPage{Items: make([]apigen.Hold, len(holds)), NextCursor: nullable.NewNullNullable[string]()}
	for i, h := range holds {
		listed.Body.Items[i] = toHold(h)
	}
	if more {
		listed.Body.NextCursor = idCursor(holds[len(holds)-1].ID)
	}
	return listed, nil
}

// PlaceUserCreditHold serves POST /v1/users/{user_id}/credits/holds.
func (s *server) PlaceUserCreditHold(ctx context.Context, r apigen.PlaceUserCreditHoldRequestObject) (apigen.PlaceUserCreditHoldResponseObject, error) {
	expiresIn := creditledger.DefaultHold
	if r.Body.ExpiresIn != nil {
		expiresIn = time.Duration(*r.Body.ExpiresIn) * time.Second
	}
	receipt, err := s.o.Ledger.Hold(ctx, callOf(ctx).ledgerRequest(), creditledger.HoldParams{
		UserID: r.UserID, Amount: r.Body.Amount, ExpiresIn: expiresIn,
		Reference: r.Body.Reference, Note: toNote(r.Body.Description, r.Body.Metadata),
	})
	placed := apigen.PlaceUserCreditHold201JSONResponse{Body: toHold(receipt.Hold)}
	placed.Headers.IdempotentReplayed = toReplayed(receipt.Replayed)
	return placed, err
}

// GetCreditHold serves GET /v1/credits/holds/{hold_id}.
func (s *server) GetCreditHold(ctx context.Context, r apigen.GetCreditHoldRequestObject) (apigen.GetCreditHoldResponseObject, error) {
	hold, err := s.o.Ledger.GetHold(ctx, r.HoldID)
	return apigen.GetCreditHold200JSONResponse{Body: toHold(hold)}, err
}

// CaptureCreditHold serves POST /v1/credits/holds/{hold_id}/capture.
func (s *server) CaptureCreditHold(ctx context.Context, r apigen.CaptureCreditHoldRequestObject) (apigen.CaptureCreditHoldResponseObject, error) {
	receipt, err := s.o.Ledger.CaptureHold(ctx, callOf(ctx).ledgerRequest(), r.HoldID, creditledger.CaptureParams{
		Amount: r.Body.Amount, Final: r.Body.Final == nil || *r.Body.Final,
	})
	return apigen.CaptureCreditHold200JSONResponse{HoldChangedJSONResponse: toChanged(receipt)}, err
}

// IncrementCreditHold serves POST /v1/credits/holds/{hold_id}/increment.
func (s *server) IncrementCreditHold(ctx context.Context, r apigen.IncrementCreditHoldRequestObject) (apigen.IncrementCreditHoldResponseObject, error) {
	receipt, err := s.o.Ledger.IncrementHold(ctx, callOf(ctx).ledgerRequest(), r.HoldID, r.Body.Amount)
	return apigen.IncrementCreditHold200JSONResponse{HoldChangedJSONResponse: toChanged(receipt)}, err
}

// VoidCreditHold serves POST /v1/credits/holds/{hold_id}/void.
func (s *server) VoidCreditHold(ctx context.Context, r apigen.VoidCreditHoldRequestObject) (apigen.VoidCreditHoldResponseObject, error) {
	receipt, err := s.o.Ledger.VoidHold(ctx, callOf(ctx).ledgerRequest(), r.HoldID)
	return apigen.VoidCreditHold200JSONResponse{HoldChangedJSONResponse: toChanged(receipt)}, err
}
