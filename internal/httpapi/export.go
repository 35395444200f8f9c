package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/identity"
)

// exportPage is how much of a list an export holds in memory.
const exportPage = 200

// ExportMe serves GET /v1/me/export. Histories may be long, so that the answer is
// written as it is read.
func (s *server) ExportMe(ctx context.Context, _ apigen.ExportMeRequestObject) (apigen.ExportMeResponseObject, error) {
	held, err := s.o.Identity.ExportOf(ctx, callOf(ctx).caller.UserID)
	if err != nil {
		return nil, err
	}
	balance, err := s.o.Ledger.Balance(ctx, held.User.ID)
	if err != nil {
		return nil, err
	}
	return export{ctx: ctx, s: s, held: held, balance: balance}, nil
}

// export is the answer, an apigen.AccountExport in parts.
type export struct {
	ctx     context.Context //nolint:containedctx // of the request that it answers
	s       *server
	held    identity.Export
	balance creditledger.Balance
}

// VisitExportMeResponse implements apigen.ExportMeResponseObject.
func (e export) VisitExportMeResponse(w http.ResponseWriter) error {
	w.Header().Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	w.WriteHeader(http.StatusOK)
	e.s.answerLong(e.ctx, w, "an export", e.write)
	return nil
}

func (e export) write(ctx context.Context, w io.Writer) error {
	user := e.held.User.ID
	sessions := make([]apigen.ExportedSession, len(e.held.Sessions))
	for i, session := range e.held.Sessions {
		sessions[i] = toExportedSession(session)
	}
	devices := make([]apigen.ExportedDevice, len(e.held.Devices))
	for i, device := range e.held.Devices {
		devices[i] = toExportedDevice(device)
	}
	keys := make([]apigen.APIKey, len(e.held.APIKeys))
	for i, key := range e.held.APIKeys {
		keys[i] = toAPIKey(key)
	}
	out := &members{w: w}
	out.value(`{"exported_at":`, time.Now().UTC())
	out.value(`,"user":`, toUser(e.held.User))
	out.value(`,"sessions":`, sessions)
	out.value(`,"devices":`, devices)
	out.value(`,"api_keys":`, keys)
	out.text(`,"audit_events":[`)
	before := uuid.Max
	stream(out, func() ([]audit.Event, bool, error) {
		page, err := e.s.o.Audit.About(ctx, user, before, exportPage)
		if len(page) > 0 {
			before = page[len(page)-1].ID
		}
		return page, len(page) == exportPage, err
	}, toAuditEvent)
	out.value(`],"credits":{"balance":`, e.s.toBalance(e.balance))
	out.text(`,"grants":[`)
	var place creditledger.GrantPlace
	stream(out, func() ([]creditledger.Grant, bool, error) {
		page, more, err := e.s.o.Ledger.Grants(ctx, user, place, exportPage)
		if len(page) > 0 {
			place = page[len(page)-1].Place()
		}
		return page, more, err
	}, toGrant)
	out.text(`],"holds":[`)
	before = uuid.Max
	stream(out, func() ([]creditledger.Hold, bool, error) {
		page, more, err := e.s.o.Ledger.Holds(ctx, user, before, exportPage)
		if len(page) > 0 {
			before = page[len(page)-1].ID
		}
		return page, more, err
	}, toHold)
	out.text(`],"transactions":[`)
	sequence := int64(0)
	stream(out, func() ([]creditledger.Transaction, bool, error) {
		page, more, err := e.s.o.Ledger.Transactions(ctx, user, creditledger.TransactionFilter{Before: sequence, Limit: exportPage})
		if len(page) > 0 {
			sequence = page[len(page)-1].Sequence
		}
		return page, more, err
	}, toTransaction)
	out.text("]}}\n")
	return out.err
}

// members writes JSON piece by piece, until something fails.
type members struct {
	w   io.Writer
	err error
}

func (m *members) text(s string) {
	if m.err == nil {
		_, m.err = io.WriteString(m.w, s)
	}
}

func (m *members) value(before string, v any) {
	m.text(before)
	if m.err != nil {
		return
	}
	encoded, err := json.Marshal(v)
	if err != nil {
		m.err = fmt.Errorf("encoding an export: %w", err)
		return
	}
	_, m.err = m.w.Write(encoded)
}

// stream writes the items of a list, page after page.
func stream[T, U any](m *members, next func() (page []T, more bool, err error), convert func(T) U) {
	comma := ""
	for more := true; more && m.err == nil; {
		var page []T
		if page, more, m.err = next(); m.err != nil {
			return
		}
		for _, item := range page {
			m.value(comma, convert(item))
			comma = ","
		}
	}
}
