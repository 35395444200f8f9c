package httpapi

import (
	"context"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/identity"
)

// RegisterUser serves POST /v1/auth/register.
func (s *server) RegisterUser(ctx context.Context, r apigen.RegisterUserRequestObject) (apigen.RegisterUserResponseObject, error) {
	n := identity.NewUser{Email: r.Body.Email, Password: r.Body.Password}
	if r.Body.Name != nil {
		n.Name = *r.Body.Name
	}
	session, err := s.o.Identity.Register(ctx, n, callOf(ctx).device)
	if err != nil {
		return nil, err
	}
	return apigen.RegisterUser201JSONResponse{Body: toSession(session)}, nil
}

// LogIn serves POST /v1/auth/login.
func (s *server) LogIn(ctx context.Context, r apigen.LogInRequestObject) (apigen.LogInResponseObject, error) {
	session, err := s.o.Identity.LogIn(ctx, r.Body.Email, r.Body.Password, callOf(ctx).device)
	if err != nil {
		return nil, err
	}
	return apigen.LogIn200JSONResponse{Body: toSession(session)}, nil
}

// RefreshSession serves POST /v1/auth/refresh.
func (s *server) RefreshSession(ctx context.Context, r apigen.RefreshSessionRequestObject) (apigen.RefreshSessionResponseObject, error) {
	session, err := s.o.Identity.Refresh(ctx, r.Body.RefreshToken)
	if err != nil {
		return nil, err
	}
	return apigen.RefreshSession200JSONResponse{Body: toSession(session)}, nil
}

// LogOut serves POST /v1/auth/logout.
func (s *server) LogOut(ctx context.Context, _ apigen.LogOutRequestObject) (apigen.LogOutResponseObject, error) {
	if err := s.o.Identity.LogOut(ctx, callOf(ctx).caller.SessionID); err != nil {
		return nil, err
	}
	return apigen.LogOut204Response{}, nil
}
