package httpapi

import (
	"context"
	"fmt"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/tokens"
)

// Readiness is what the single checks found; true is good.
type Readiness struct {
	Database   bool // it answers
	Migrations bool // none is missing
	Shutdown   bool // none has begun
}

// GetLiveness serves GET /health/live.
func (s *server) GetLiveness(context.Context, apigen.GetLivenessRequestObject) (apigen.GetLivenessResponseObject, error) {
	return apigen.GetLiveness200JSONResponse{Body: apigen.Liveness{Status: "live"}}, nil
}

// GetReadiness serves GET /health/ready.
func (s *server) GetReadiness(ctx context.Context, _ apigen.GetReadinessRequestObject) (apigen.GetReadinessResponseObject, error) {
	r := s.o.Ready(ctx)
	var body apigen.Readiness
	body.Checks.Database, body.Checks.Migrations, body.Checks.Shutdown = check(r.Database), check(r.Migrations), check(r.Shutdown)
	if r != (Readiness{Database: true, Migrations: true, Shutdown: true}) {
		body.Status = apigen.ReadinessStatusNotReady
		out := apigen.GetReadiness503JSONResponse{Body: body}
		wait := 1
		out.Headers.RetryAfter = &wait
		return out, nil
	}
	body.Status = apigen.ReadinessStatusReady
	return apigen.GetReadiness200JSONResponse{Body: body}, nil
}

func check(good bool) apigen.CheckStatus {
	if good {
		return apigen.CheckStatusOk
	}
	return apigen.CheckStatusFailed
}

// GetJWKS serves GET /.well-known/jwks.json.
func (s *server) GetJWKS(context.Context, apigen.GetJWKSRequestObject) (apigen.GetJWKSResponseObject, error) {
	keys := s.o.Tokens.JWKS()
	out := apigen.GetJWKS200JSONResponse{Body: apigen.JSONWebKeySet{Keys: make([]apigen.JSONWebKey, len(keys))}}
	for i, k := range keys {
		out.Body.Keys[i] = toJWK(k)
	}
	cache := fmt.Sprintf("public, max-age=%.0f", tokens.JWKSMaxAge.Seconds())
	out.Headers.CacheControl = &cache
	return out, nil
}
