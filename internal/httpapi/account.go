package httpapi

import (
	"context"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/identity"
)

// GetMe serves GET /v1/me.
func (s *server) GetMe(ctx context.Context, _ apigen.GetMeRequestObject) (apigen.GetMeResponseObject, error) {
	user, err := s.o.Identity.Me(ctx, callOf(ctx).caller.UserID)
	if err != nil {
		return nil, err
	}
	return apigen.GetMe200JSONResponse{Body: toUser(user)}, nil
}

// UpdateMe serves PATCH /v1/me.
func (s *server) UpdateMe(ctx context.Context, r apigen.UpdateMeRequestObject) (apigen.UpdateMeResponseObject, error) {
	user, err := s.o.Identity.UpdateMe(ctx, callOf(ctx).caller.UserID, identity.UserChange{
		Name: r.Body.Name, Locale: orCleared(r.Body.Locale), Metadata: compact(r.Body.Metadata),
	})
	if err != nil {
		return nil, err
	}
	return apigen.UpdateMe200JSONResponse{Body: toUser(user)}, nil
}

// DeleteMe serves DELETE /v1/me.
func (s *server) DeleteMe(ctx context.Context, r apigen.DeleteMeRequestObject) (apigen.DeleteMeResponseObject, error) {
	if err := s.o.Identity.DeleteMe(ctx, callOf(ctx).caller, r.Body.Password); err != nil {
		return nil, err
	}
	return apigen.DeleteMe204Response{}, nil
}

// ChangeMyPassword serves PUT /v1/me/password.
func (s *server) ChangeMyPassword(ctx context.Context, r apigen.ChangeMyPasswordRequestObject) (apigen.ChangeMyPasswordResponseObject, error) {
	call := callOf(ctx)
	if err := s.o.Identity.ChangePassword(ctx, call.caller, r.Body.CurrentPassword, r.Body.NewPassword, call.device); err != nil {
		return nil, err
	}
	return apigen.ChangeMyPassword204Response{}, nil
}

// ChangeMyEmail serves POST /v1/me/email.
func (s *server) ChangeMyEmail(ctx context.Context, r apigen.ChangeMyEmailRequestObject) (apigen.ChangeMyEmailResponseObject, error) {
	call := callOf(ctx)
	if err := s.o.Identity.ChangeEmail(ctx, call.caller, r.Body.NewEmail, r.Body.Password, call.device); err != nil {
		return nil, err
	}
	return apigen.ChangeMyEmail202Response{}, nil
}
