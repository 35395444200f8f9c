package httpapi

import (
	"context"

	"github.com/oapi-codegen/nullable"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/identity"
)

// ListUsers serves GET /v1/users.
func (s *server) ListUsers(ctx context.Context, r apigen.ListUsersRequestObject) (apigen.ListUsersResponseObject, error) {
	before, err := idBefore(r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	p := r.Params
	users, more, err := s.o.Identity.Users(ctx, identity.UserFilter{
		Text: p.Q, Email: p.Email, Role: (*string)(p.Role), Status: (*string)(p.Status),
	}, before, limitOf(p.Limit))
	if err != nil {
		return nil, err
	}
	page := apigen.UserPage{Items: make([]apigen.User, len(users)), NextCursor: nullable.NewNullNullable[string]()}
	for i, u := range users {
		page.Items[i] = toUser(u)
	}
	if more {
		page.NextCursor = idCursor(users[len(users)-1].ID)
	}
	return apigen.ListUsers200JSONResponse{Body: page}, nil
}

// CreateUser serves POST /v1/users.
func (s *server) CreateUser(ctx context.Context, r apigen.CreateUserRequestObject) (apigen.CreateUserResponseObject, error) {
	n := identity.NewUser{Email: r.Body.Email, Name: orZero(r.Body.Name), Locale: orZero(r.Body.Locale), Role: identity.RoleUser}
	if r.Body.Role != nil {
		n.Role = string(*r.Body.Role)
	}
	user, err := s.o.Identity.Invite(ctx, callOf(ctx).caller, n)
	if err != nil {
		return nil, err
	}
	return apigen.CreateUser201JSONResponse{Body: toUser(user)}, nil
}

// GetUser serves GET /v1/users/{user_id}.
func (s *server) GetUser(ctx context.Context, r apigen.GetUserRequestObject) (apigen.GetUserResponseObject, error) {
	user, err := s.o.Identity.User(ctx, r.UserID)
	if err != nil {
		return nil, err
	}
	return apigen.GetUser200JSONResponse{Body: toUser(user)}, nil
}

// UpdateUser serves PATCH /v1/users/{user_id}.
func (s *server) UpdateUser(ctx context.Context, r apigen.UpdateUserRequestObject) (apigen.UpdateUserResponseObject, error) {
	user, err := s.o.Identity.ChangeUser(ctx, callOf(ctx).caller, r.UserID, identity.UserChange{
		Name: r.Body.Name, Locale: orCleared(r.Body.Locale), Metadata: compact(r.Body.Metadata), Role: (*string)(r.Body.Role),
	})
	if err != nil {
		return nil, err
	}
	return apigen.UpdateUser200JSONResponse{Body: toUser(user)}, nil
}

// DeleteUser serves DELETE /v1/users/{user_id}.
func (s *server) DeleteUser(ctx context.Context, r apigen.DeleteUserRequestObject) (apigen.DeleteUserResponseObject, error) {
	if err := s.o.Identity.DeleteUser(ctx, callOf(ctx).caller, r.UserID); err != nil {
		return nil, err
	}
	return apigen.DeleteUser204Response{}, nil
}

// SuspendUser serves POST /v1/users/{user_id}/suspend.
func (s *server) SuspendUser(ctx context.Context, r apigen.SuspendUserRequestObject) (apigen.SuspendUserResponseObject, error) {
	user, err := s.o.Identity.Suspend(ctx, callOf(ctx).caller, r.UserID, r.Body.Reason, r.Body.Until)
	if err != nil {
		return nil, err
	}
	return apigen.SuspendUser200JSONResponse{Body: toUser(user)}, nil
}

// UnsuspendUser serves POST /v1/users/{user_id}/unsuspend.
func (s *server) UnsuspendUser(ctx context.Context, r apigen.UnsuspendUserRequestObject) (apigen.UnsuspendUserResponseObject, error) {
	user, err := s.o.Identity.Unsuspend(ctx, callOf(ctx).caller, r.UserID)
	if err != nil {
		return nil, err
	}
	return apigen.UnsuspendUser200JSONResponse{Body: toUser(user)}, nil
}

// EndUserSessions serves DELETE /v1/users/{user_id}/sessions.
func (s *server) EndUserSessions(ctx context.Context, r apigen.EndUserSessionsRequestObject) (apigen.EndUserSessionsResponseObject, error) {
	if err := s.o.Identity.EndSessionsOf(ctx, callOf(ctx).caller, r.UserID); err != nil {
		return nil, err
	}
	return apigen.EndUserSessions204Response{}, nil
}

// SendUserPasswordReset serves POST /v1/users/{user_id}/password-reset.
func (s *server) SendUserPasswordReset(ctx context.Context, r apigen.SendUserPasswordResetRequestObject) (apigen.SendUserPasswordResetResponseObject, error) {
	if err := s.o.Identity.SendPasswordReset(ctx, callOf(ctx).caller, r.UserID); err != nil {
		return nil, err
	}
	return apigen.SendUserPasswordReset202Response{}, nil
}
