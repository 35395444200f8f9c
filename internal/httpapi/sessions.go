package httpapi

import (
	"context"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/authservice/authservice/internal/apigen"
)

// ListMySessions serves GET /v1/me/sessions.
func (s *server) ListMySessions(ctx context.Context, r apigen.ListMySessionsRequestObject) (apigen.ListMySessionsResponseObject, error) {
	listed, err := s.sessions(ctx, callOf(ctx).caller.UserID, r.Params.Limit, r.Params.Cursor)
	return apigen.ListMySessions200JSONResponse{SessionsListedJSONResponse: listed}, err
}

// ListUserSessions serves GET /v1/users/{user_id}/sessions.
func (s *server) ListUserSessions(ctx context.Context, r apigen.ListUserSessionsRequestObject) (apigen.ListUserSessionsResponseObject, error) {
	if _, err := s.o.Identity.User(ctx, r.UserID); err != nil {
		return nil, err
	}
	listed, err := s.sessions(ctx, r.UserID, r.Params.Limit, r.Params.Cursor)
	return apigen.ListUserSessions200JSONResponse{SessionsListedJSONResponse: listed}, err
}

func (s *server) sessions(ctx context.Context, userID uuid.UUID, limit *int, cursor *string) (listed apigen.SessionsListedJSONResponse, err error) {
	before, err := idBefore(cursor)
	if err != nil {
		return listed, err
	}
	sessions, more, err := s.o.Identity.Sessions(ctx, userID, before, limitOf(limit))
	if err != nil {
		return listed, err
	}
	page := apigen.SessionInfoPage{Items: make([]apigen.SessionInfo, len(sessions)), NextCursor: nullable.NewNullNullable[string]()}
	for i, session := range sessions {
		page.Items[i] = toSessionInfo(session, callOf(ctx).caller.SessionID)
	}
	if more {
		page.NextCursor = idCursor(sessions[len(sessions)-1].ID)
	}
	listed.Body = page
	return listed, nil
}

// EndMySession serves DELETE /v1/me/sessions/{session_id}.
func (s *server) EndMySession(ctx context.Context, r apigen.EndMySessionRequestObject) (apigen.EndMySessionResponseObject, error) {
	if err := s.o.Identity.EndSession(ctx, callOf(ctx).caller, r.SessionID); err != nil {
		return nil, err
	}
	return apigen.EndMySession204Response{}, nil
}

// EndMyOtherSessions serves DELETE /v1/me/sessions.
func (s *server) EndMyOtherSessions(ctx context.Context, r apigen.EndMyOtherSessionsRequestObject) (apigen.EndMyOtherSessionsResponseObject, error) {
	andThis := r.Params.IncludeCurrent != nil && *r.Params.IncludeCurrent
	if err := s.o.Identity.EndOtherSessions(ctx, callOf(ctx).caller, andThis); err != nil {
		return nil, err
	}
	return apigen.EndMyOtherSessions204Response{}, nil
}
