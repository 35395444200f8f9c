package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/authservice/authservice/internal/apperr"
)

const headerIdempotencyKey = "Idempotency-Key"

var (
	errKeyRequired = apperr.New(apperr.Malformed, "idempotency_key_required", "This request moves credits and needs an Idempotency-Key header.").
			WithFields(apperr.Field{Pointer: "/header/Idempotency-Key", Message: "is required"})
	errKeyInvalid = apperr.New(apperr.Malformed, "idempotency_key_invalid", "The Idempotency-Key must be 1 to 255 visible ASCII characters and be sent once.").
			WithFields(apperr.Field{Pointer: "/header/Idempotency-Key", Message: "must be 1 to 255 visible ASCII characters"})
)

// formats are those that the contract uses; the library checks none by itself.
var formats = []openapi3.SchemaValidationOption{
	openapi3.WithStringFormatValidator("uuid", openapi3.NewCallbackValidator(func(s string) error {
		if len(s) != 36 { // other spellings of a UUID are none of ours
			return errors.New("not in the usual form")
		}
		return uuid.Validate(s)
	})),
	openapi3.WithStringFormatValidator("date-time", openapi3.NewCallbackValidator(func(s string) error {
		_, err := time.Parse(time.RFC3339, s)
		return err
	})),
}

// maxErrors bounds how many wrong values one answer names.
const maxErrors = 20

// validate checks a request against its operation and fills in what the ledger
// needs to know a request again.
func (op *operation) validate(c echo.Context, call *call) error {
	if op.movesMoney {
		key, err := idempotencyKey(c.Request().Header)
		if err != nil {
			return err
		}
		call.key = key
	}
	fields := op.checkParameters(c)
	var value any
	if op.body != nil {
		body, err := readJSON(c.Request(), op.maxBody, op.bodyRequired)
		if err != nil {
			return err
		}
		if value, err = decode(body); err != nil {
			return errMalformed.Because(err)
		}
		fields = append(fields, checkBody(op.body, value)...)
		if op.movesMoney {
			call.fingerprint = fingerprint(c.Request(), body)
		}
	}
	if len(fields) > 0 {
		return apperr.InvalidFields(fields[:min(len(fields), maxErrors)])
	}
	if op.itemScopes != nil {
		return op.itemScopes.check(call.caller, value)
	}
	return nil
}

func idempotencyKey(h http.Header) (string, error) {
	keys := h.Values(headerIdempotencyKey)
	switch {
	case len(keys) == 0 || len(keys) == 1 && keys[0] == "":
		return "", errKeyRequired
	case len(keys) > 1 || len(keys[0]) > 255 || strings.ContainsFunc(keys[0], func(r rune) bool { return r < 0x21 || r > 0x7e }):
		return "", errKeyInvalid
	}
	return keys[0], nil
}

// checkParameters checks what stands in the path, the query and the headers.
func (op *operation) checkParameters(c echo.Context) (fields []apperr.Field) {
	names, values := c.ParamNames(), c.ParamValues()
	params := make(map[string]string, len(names))
	for i, name := range names {
		params[name] = values[i]
	}
	input := &openapi3filter.RequestValidationInput{
		Request: c.Request(), PathParams: params, QueryParams: c.QueryParams(), Route: op.route,
		Options: &openapi3filter.Options{MultiError: true, SkipSettingDefaults: true, SchemaValidationOptions: formats},
	}
	for _, list := range []openapi3.Parameters{op.route.PathItem.Parameters, op.route.Operation.Parameters} {
		for _, p := range list {
			if p.Value.Name == headerIdempotencyKey {
				continue // has codes of its own
			}
			pointer := "/" + p.Value.In + "/" + p.Value.Name
			if p.Value.In == openapi3.ParameterInQuery && len(input.QueryParams[p.Value.Name]) > 1 {
				fields = append(fields, apperr.Field{Pointer: pointer, Message: "must be sent once"})
				continue
			}
			if err := openapi3filter.ValidateParameter(c.Request().Context(), input, p.Value); err != nil {
				fields = append(fields, apperr.Field{Pointer: pointer, Message: firstMessage(err)})
			}
		}
	}
	return fields
}

func decode(body []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}

// checkBody checks a body against its schema.
func checkBody(schema *openapi3.Schema, value any) []apperr.Field {
	fields := fieldsOf(schema.VisitJSON(value, append(slices.Clip(formats), openapi3.VisitAsRequest(), openapi3.MultiErrors())...))
	return slices.Compact(fields) // each of several schemas may say the same
}
