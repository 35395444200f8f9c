package httpapi

import (
	"context"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/identity"
)

// GetMe serves GET /v1/me.
func (s *server) GetMe(ctx context.Context, _ apigen.GetMeRequestObject) (apigen.GetMeResponseObject, error) {
	user, err := s.o.Identity.User(ctx, callOf(ctx).caller.UserID)
	if err != nil {
		return nil, err
	}
	return apigen.GetMe200JSONResponse{Body: toUser(user)}, nil
}

// UpdateMe serves PATCH /v1/me.
func (s *server) UpdateMe(ctx context.Context, r apigen.UpdateMeRequestObject) (apigen.UpdateMeResponseObject, error) {
	user, err := s.o.Identity.UpdateUser(ctx, callOf(ctx).caller.UserID, identity.UserChange{
		Name: r.Body.Name, Metadata: compact(r.Body.Metadata),
	})
	if err != nil {
		return nil, err
	}
	return apigen.UpdateMe200JSONResponse{Body: toUser(user)}, nil
}
