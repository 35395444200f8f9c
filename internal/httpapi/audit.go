package httpapi

import (
	"context"

	"github.com/oapi-codegen/nullable"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/audit"
)

// ListAuditEvents serves GET /v1/audit-events.
func (s *server) ListAuditEvents(ctx context.Context, r apigen.ListAuditEventsRequestObject) (apigen.ListAuditEventsResponseObject, error) {
	before, err := idBefore(r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	p := r.Params
	events, more, err := s.o.Audit.List(ctx, audit.Filter{
		ActorID: p.ActorID, TargetID: p.TargetID, Type: (*string)(p.Type), From: p.From, To: p.To,
	}, before, limitOf(p.Limit))
	if err != nil {
		return nil, err
	}
	page := apigen.AuditEventPage{Items: make([]apigen.AuditEvent, len(events)), NextCursor: nullable.NewNullNullable[string]()}
	for i, e := range events {
		page.Items[i] = toAuditEvent(e)
	}
	if more {
		page.NextCursor = idCursor(events[len(events)-1].ID)
	}
	return apigen.ListAuditEvents200JSONResponse{Body: page}, nil
}
