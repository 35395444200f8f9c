package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/creditledger"
)

const problemType = "application/problem+json"

// problem is an error as clients see it (RFC 9457).
type problem struct {
	Type      string         `json:"type"`
	Title     string         `json:"title"`
	Status    int            `json:"status"`
	Detail    string         `json:"detail"`
	Instance  string         `json:"instance"`
	Code      string         `json:"code"`
	RequestID string         `json:"request_id"`
	Errors    []apperr.Field `json:"errors,omitempty"`
	*shortfall
}

type shortfall struct {
	Required  int64 `json:"required"`
	Available int64 `json:"available"`
	Shortfall int64 `json:"shortfall"`
}

// statusOf maps every kind to its status; what is not here is a fault of ours.
func statusOf(kind apperr.Kind) int {
	switch kind {
	case apperr.Malformed:
		return http.StatusBadRequest
	case apperr.Unauthenticated:
		return http.StatusUnauthorized
	case apperr.InsufficientCredits:
		return http.StatusPaymentRequired
	case apperr.Forbidden:
		return http.StatusForbidden
	case apperr.NotFound:
		return http.StatusNotFound
	case apperr.MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case apperr.Conflict:
		return http.StatusConflict
	case apperr.TooLarge:
		return http.StatusRequestEntityTooLarge
	case apperr.UnsupportedMediaType:
		return http.StatusUnsupportedMediaType
	case apperr.Invalid:
		return http.StatusUnprocessableEntity
	case apperr.TooMany:
		return http.StatusTooManyRequests
	case apperr.Unavailable:
		return http.StatusServiceUnavailable
	case apperr.Internal:
	}
	return http.StatusInternalServerError
}

// encodeProblem writes e down for one request.
func encodeProblem(e *apperr.Error, requestID string) (status int, body []byte) {
	status = statusOf(e.Kind)
	p := problem{
		Type: "urn:authservice:problem:" + e.Code, Title: title(status), Status: status, Detail: e.Detail,
		Instance: "urn:authservice:request:" + requestID, Code: e.Code, RequestID: requestID, Errors: e.Fields,
	}
	if s := e.Shortfall; s != nil {
		p.shortfall = &shortfall{Required: s.Required, Available: s.Available, Shortfall: s.Required - s.Available}
	}
	body, _ = json.Marshal(p) // strings and integers only: cannot fail
	return status, append(body, '\n')
}

// title is the status in the words of RFC 9110, where Go still has older ones.
func title(status int) string {
	switch status {
	case http.StatusRequestEntityTooLarge:
		return "Content Too Large"
	case http.StatusUnprocessableEntity:
		return "Unprocessable Content"
	}
	return http.StatusText(status)
}

// handleError is the one place where errors become answers.
func (s *server) handleError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	call := callOf(c.Request().Context())
	h := c.Response().Header()

	var refused *creditledger.Refused
	if errors.As(err, &refused) {
		if refused.Replayed {
			h.Set("Idempotent-Replayed", "true")
		}
		call.err = refused.Reason
		_ = c.Blob(refused.Status, problemType, refused.Body)
		return
	}

	e := asAppError(err)
	call.err = e
	switch e.Kind {
	case apperr.Unauthenticated:
		h.Set("WWW-Authenticate", challenge(e))
	case apperr.TooMany, apperr.Unavailable:
		h.Set("Retry-After", strconv.Itoa(int(max(1, math.Ceil(e.RetryAfter.Seconds())))))
	default:
	}
	status, body := encodeProblem(e, call.id)
	_ = c.Blob(status, problemType, body)
}

// challenge follows RFC 6750, section 3: the error is named only where a token was shown.
func challenge(e *apperr.Error) string {
	if e.Code == "invalid_access_token" {
		return `Bearer error="invalid_token"`
	}
	return "Bearer"
}

// asAppError also understands the errors of Echo and of the generated code.
// Their messages may repeat what was sent, and are not passed on.
func asAppError(err error) *apperr.Error {
	var known *apperr.Error
	if errors.As(err, &known) {
		return known
	}
	if errors.Is(err, context.Canceled) {
		return apperr.UnavailableBecause(err) // the client has gone; nobody reads this
	}
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return apperr.InvalidField("/"+strings.ReplaceAll(wrongType.Field, ".", "/"), wrongTypeMessage(wrongType))
	}
	var ofEcho *echo.HTTPError
	if errors.As(err, &ofEcho) {
		switch ofEcho.Code {
		case http.StatusNotFound:
			return apperr.New(apperr.NotFound, "not_found", "There is nothing at this path.")
		case http.StatusMethodNotAllowed:
			return apperr.New(apperr.MethodNotAllowed, "method_not_allowed", "This path does not have that method.")
		case http.StatusBadRequest:
			return errMalformed.Because(err)
		}
	}
	return apperr.From(err)
}

func wrongTypeMessage(e *json.UnmarshalTypeError) string {
	if strings.HasPrefix(e.Type.String(), "int") {
		return "must be an integer, written without a fraction or an exponent"
	}
	return "has the wrong type"
}
