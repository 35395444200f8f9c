package httpapi

import (
	"context"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/identity"
)

// RegisterUser serves POST /v1/auth/register.
func (s *server) RegisterUser(ctx context.Context, r apigen.RegisterUserRequestObject) (apigen.RegisterUserResponseObject, error) {
	call := callOf(ctx)
	session, err := s.o.Identity.Register(ctx, identity.NewUser{
		Email: r.Body.Email, Password: r.Body.Password, Name: orZero(r.Body.Name),
		Locale: orZero(r.Body.Locale), AcceptLanguage: call.acceptLanguage,
	}, call.device)
	if err != nil {
		return nil, err
	}
	if session == nil {
		return apigen.RegisterUser202Response{}, nil
	}
	return apigen.RegisterUser201JSONResponse{Body: toSession(*session)}, nil
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
	session, err := s.o.Identity.Refresh(ctx, r.Body.RefreshToken, callOf(ctx).device)
	if err != nil {
		return nil, err
	}
	return apigen.RefreshSession200JSONResponse{Body: toSession(session)}, nil
}

// LogOut serves POST /v1/auth/logout.
func (s *server) LogOut(ctx context.Context, _ apigen.LogOutRequestObject) (apigen.LogOutResponseObject, error) {
	if err := s.o.Identity.LogOut(ctx, callOf(ctx).caller); err != nil {
		return nil, err
	}
	return apigen.LogOut204Response{}, nil
}

// ForgotPassword serves POST /v1/auth/password/forgot.
func (s *server) ForgotPassword(ctx context.Context, r apigen.ForgotPasswordRequestObject) (apigen.ForgotPasswordResponseObject, error) {
	if err := s.o.Identity.ForgotPassword(ctx, r.Body.Email, callOf(ctx).device); err != nil {
		return nil, err
	}
	return apigen.ForgotPassword202Response{}, nil
}

// ResetPassword serves POST /v1/auth/password/reset.
func (s *server) ResetPassword(ctx context.Context, r apigen.ResetPasswordRequestObject) (apigen.ResetPasswordResponseObject, error) {
	if err := s.o.Identity.ResetPassword(ctx, r.Body.Token, r.Body.NewPassword, callOf(ctx).device); err != nil {
		return nil, err
	}
	return apigen.ResetPassword204Response{}, nil
}

// VerifyEmail serves POST /v1/auth/email/verify.
func (s *server) VerifyEmail(ctx context.Context, r apigen.VerifyEmailRequestObject) (apigen.VerifyEmailResponseObject, error) {
	if err := s.o.Identity.VerifyEmail(ctx, r.Body.Token, callOf(ctx).device); err != nil {
		return nil, err
	}
	return apigen.VerifyEmail204Response{}, nil
}

// ResendVerification serves POST /v1/auth/email/resend.
func (s *server) ResendVerification(ctx context.Context, r apigen.ResendVerificationRequestObject) (apigen.ResendVerificationResponseObject, error) {
	if err := s.o.Identity.ResendVerification(ctx, r.Body.Email, callOf(ctx).device); err != nil {
		return nil, err
	}
	return apigen.ResendVerification202Response{}, nil
}
