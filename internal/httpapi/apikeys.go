package httpapi

import (
	"context"
	"time"

	"github.com/oapi-codegen/nullable"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/identity"
)

// ListAPIKeys serves GET /v1/api-keys.
func (s *server) ListAPIKeys(ctx context.Context, r apigen.ListAPIKeysRequestObject) (apigen.ListAPIKeysResponseObject, error) {
	before, err := idBefore(r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	keys, more, err := s.o.Identity.APIKeys(ctx, before, limitOf(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	page := apigen.APIKeyPage{Items: make([]apigen.APIKey, len(keys)), NextCursor: nullable.NewNullNullable[string]()}
	for i, k := range keys {
		page.Items[i] = toAPIKey(k)
	}
	if more {
		page.NextCursor = idCursor(keys[len(keys)-1].ID)
	}
	return apigen.ListAPIKeys200JSONResponse{Body: page}, nil
}

// CreateAPIKey serves POST /v1/api-keys.
func (s *server) CreateAPIKey(ctx context.Context, r apigen.CreateAPIKeyRequestObject) (apigen.CreateAPIKeyResponseObject, error) {
	n := identity.NewAPIKey{Name: r.Body.Name, ExpiresAt: r.Body.ExpiresAt, CreatedBy: callOf(ctx).caller.UserID}
	for _, scope := range r.Body.Scopes {
		n.Scopes = append(n.Scopes, string(scope))
	}
	key, text, err := s.o.Identity.CreateAPIKey(ctx, n)
	if err != nil {
		return nil, err
	}
	return apigen.CreateAPIKey201JSONResponse{Body: toCreatedAPIKey(key, text)}, nil
}

// defaultOverlap is how long the old secret of a rotated key works.
const defaultOverlap = 24 * time.Hour

// RotateAPIKey serves POST /v1/api-keys/{api_key_id}/rotate.
func (s *server) RotateAPIKey(ctx context.Context, r apigen.RotateAPIKeyRequestObject) (apigen.RotateAPIKeyResponseObject, error) {
	overlap := defaultOverlap
	if r.Body.Overlap != nil {
		overlap = time.Duration(*r.Body.Overlap) * time.Second
	}
	key, text, err := s.o.Identity.RotateAPIKey(ctx, r.APIKeyID, overlap)
	if err != nil {
		return nil, err
	}
	return apigen.RotateAPIKey200JSONResponse{Body: toCreatedAPIKey(key, text)}, nil
}

// DeleteAPIKey serves DELETE /v1/api-keys/{api_key_id}.
func (s *server) DeleteAPIKey(ctx context.Context, r apigen.DeleteAPIKeyRequestObject) (apigen.DeleteAPIKeyResponseObject, error) {
	if err := s.o.Identity.DeleteAPIKey(ctx, r.APIKeyID); err != nil {
		return nil, err
	}
	return apigen.DeleteAPIKey204Response{}, nil
}
