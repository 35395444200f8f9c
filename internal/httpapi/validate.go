package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/authservice/authservice/internal/apperr"
)

const headerIdempotencyKey = "Idempotency-Key"

var (
	errMalformed   = apperr.New(apperr.Malformed, "malformed_request", "The body is not one well-formed JSON value.")
	errEmptyBody   = apperr.New(apperr.Malformed, "malformed_request", "This operation needs a JSON body.")
	errMediaType   = apperr.New(apperr.UnsupportedMediaType, "unsupported_media_type", "Send the body as Content-Type: application/json.")
	errKeyRequired = apperr.New(apperr.Malformed, "idempotency_key_required", "This request moves credits and needs an Idempotency-Key header.").
			WithFields(apperr.Field{Pointer: "/header/Idempotency-Key", Message: "is required"})
	errKeyInvalid = apperr.New(apperr.Malformed, "idempotency_key_invalid", "The Idempotency-Key must be 1 to 255 visible ASCII characters and be sent once.").
			WithFields(apperr.Field{Pointer: "/header/Idempotency-Key", Message: "must be 1 to 255 visible ASCII characters"})
)

// formats are those that the contract uses; the library checks none by itself.
var formats = []openapi3.SchemaValidationOption{
	openapi3.WithStringFormatValidator("uuid", openapi3.NewCallbackValidator(func(s string) error {
		if len(s) != 36 { // other spellings of a UUID are none of ours
			return errFormat
		}
		return uuid.Validate(s)
	})),
	openapi3.WithStringFormatValidator("date-time", openapi3.NewCallbackValidator(func(s string) error {
		_, err := time.Parse(time.RFC3339, s)
		return err
	})),
}

var errFormat = errors.New("wrong format")

// maxErrors bounds how many wrong values one answer names.
const maxErrors = 20

// validate checks a request against its operation and fills in what the ledger
// needs to know a request again.
func (op *operation) validate(c echo.Context, call *call, maxBody int64) error {
	if op.movesMoney {
		key, err := idempotencyKey(c.Request().Header)
		if err != nil {
			return err
		}
		call.key = key
	}
	fields := op.checkParameters(c)
	if op.body != nil {
		body, err := readJSON(c.Request(), maxBody)
		if err != nil {
			return err
		}
		fields = append(fields, checkBody(op.body, body)...)
		if op.movesMoney {
			call.fingerprint = fingerprint(c.Request(), body)
		}
	}
	if len(fields) > 0 {
		return apperr.InvalidFields(fields[:min(len(fields), maxErrors)])
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

// readJSON reads the body as one well-formed JSON value (RFC 8259) without
// repeated members, and puts it back for the handler.
func readJSON(req *http.Request, maxBody int64) ([]byte, error) {
	if req.ContentLength > maxBody {
		return nil, tooLarge(maxBody)
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, req.Body, maxBody))
	var tooMuch *http.MaxBytesError
	switch {
	case errors.As(err, &tooMuch):
		return nil, tooLarge(maxBody)
	case err != nil:
		return nil, errMalformed.Because(err)
	case len(bytes.TrimSpace(body)) == 0:
		return nil, errEmptyBody
	}
	mediaType, params, err := mime.ParseMediaType(req.Header.Get(echo.HeaderContentType))
	if charset := params["charset"]; err != nil || mediaType != echo.MIMEApplicationJSON || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, errMediaType
	}
	if err := wellFormed(body); err != nil {
		return nil, errMalformed.Because(err)
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}

func tooLarge(limit int64) error {
	return apperr.New(apperr.TooLarge, "request_too_large", fmt.Sprintf("The body is larger than %d bytes.", limit))
}

// maxDepth bounds how deep JSON may be nested.
const maxDepth = 32

// wellFormed is stricter than encoding/json: no member twice, valid UTF-8,
// bounded depth, nothing behind the value.
func wellFormed(body []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(body))
	for {
		if _, err := d.ReadToken(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if d.StackDepth() > maxDepth {
			return errors.New("nested too deep")
		}
		if d.StackDepth() == 0 && len(bytes.TrimSpace(body[d.InputOffset():])) > 0 {
			return errors.New("data behind the value")
		}
	}
}

// checkBody checks a well-formed body against its schema.
func checkBody(schema *openapi3.Schema, body []byte) []apperr.Field {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return []apperr.Field{{Pointer: "", Message: "cannot be read"}}
	}
	return fieldsOf(schema.VisitJSON(value, append(slices.Clip(formats), openapi3.VisitAsRequest(), openapi3.MultiErrors())...))
}

// fingerprint is the same for two requests that ask for the same: same method,
// path and JSON, whatever the white space and the order of members.
func fingerprint(req *http.Request, body []byte) [32]byte {
	canonical := jsontext.Value(bytes.Clone(body))
	// Numbers are left as they are written: 2^53 + 1 must not become 2^53.
	_ = canonical.Format(jsontext.ReorderRawObjects(true)) // well-formed: cannot fail
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s", req.Method, req.URL.Path, canonical)
	return [32]byte(h.Sum(nil))
}

// fieldsOf tells for people what the schema found, without the values.
func fieldsOf(err error) []apperr.Field {
	var many openapi3.MultiError
	var one *openapi3.SchemaError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &many):
		var fields []apperr.Field
		for _, e := range many {
			fields = append(fields, fieldsOf(e)...)
		}
		return fields
	case errors.As(err, &one):
		at := pointer(one.JSONPointer())
		if one.SchemaField == "properties" {
			return unknownMembers(at, one)
		}
		return []apperr.Field{{Pointer: at, Message: message(one)}}
	}
	return []apperr.Field{{Pointer: "", Message: "is not valid"}}
}

func firstMessage(err error) string {
	var request *openapi3filter.RequestError
	if errors.As(err, &request) {
		var parse *openapi3filter.ParseError
		switch {
		case errors.Is(request.Err, openapi3filter.ErrInvalidRequired):
			return "is required"
		case errors.Is(request.Err, openapi3filter.ErrInvalidEmptyValue):
			return "must not be empty"
		case errors.As(request.Err, &parse):
			return "must be of type " + strings.Join(request.Parameter.Schema.Value.Type.Slice(), " or ")
		}
		err = request.Err
	}
	return fieldsOf(err)[0].Message
}

func unknownMembers(at string, e *openapi3.SchemaError) (fields []apperr.Field) {
	members, _ := e.Value.(map[string]any)
	for name := range members {
		// The error names its member only in a sentence.
		if e.Schema.Properties[name] == nil && strings.Contains(e.Reason, fmt.Sprintf("%q", name)) {
			fields = append(fields, apperr.Field{Pointer: at + pointer([]string{name}), Message: "is not a field of this request"})
		}
	}
	return fields
}

func message(e *openapi3.SchemaError) string {
	s := e.Schema
	switch e.SchemaField {
	case "required":
		return "is required"
	case "type", "nullable":
		if s.Type == nil {
			return "must not be null"
		}
		return "must be of type " + strings.Join(s.Type.Slice(), " or ")
	case "minimum":
		return fmt.Sprintf("must be at least %.0f", *s.Min)
	case "maximum":
		return fmt.Sprintf("must be at most %.0f", *s.Max)
	case "minLength":
		if s.MinLength == 1 {
			return "must not be empty"
		}
		return fmt.Sprintf("must have at least %d characters", s.MinLength)
	case "maxLength":
		return fmt.Sprintf("must have at most %d characters", *s.MaxLength)
	case "minItems":
		return fmt.Sprintf("must have at least %d items", s.MinItems)
	case "maxItems":
		return fmt.Sprintf("must have at most %d items", *s.MaxItems)
	case "minProperties":
		return fmt.Sprintf("must have at least %d members", s.MinProps)
	case "maxProperties":
		return fmt.Sprintf("must have at most %d members", *s.MaxProps)
	case "uniqueItems":
		return "must not name an item twice"
	case "enum":
		return fmt.Sprintf("must be one of %v", s.Enum)
	case "format":
		return "must be a valid " + s.Format
	case "pattern":
		return "has characters that are not allowed"
	}
	return "is not valid"
}

// pointer is RFC 6901. Names of unknown members come from outside, and are cut.
func pointer(path []string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	var b strings.Builder
	for _, name := range path {
		if len(name) > 64 {
			for name = name[:64]; !utf8.ValidString(name); {
				name = name[:len(name)-1]
			}
			name += "…"
		}
		b.WriteString("/" + escape.Replace(name))
	}
	return b.String()
}
