package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/authservice/authservice/internal/apperr"
)

var (
	errMalformed = apperr.New(apperr.Malformed, "malformed_request", "The body is not one well-formed JSON value.")
	errSlowBody  = apperr.New(apperr.Malformed, "malformed_request", "The body did not arrive in time.")
	errEmptyBody = apperr.New(apperr.Malformed, "malformed_request", "This operation needs a JSON body.")
	errMediaType = apperr.New(apperr.UnsupportedMediaType, "unsupported_media_type", "Send the body as Content-Type: application/json.")
)

// readJSON reads the body as one well-formed JSON value (RFC 8259) without
// repeated members, and puts it back for the handler. No body, where none is
// required, is an object without members.
func readJSON(req *http.Request, maxBody int64, required bool) ([]byte, error) {
	if req.ContentLength > maxBody {
		return nil, tooLarge(maxBody)
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, req.Body, maxBody))
	var tooMuch *http.MaxBytesError
	switch {
	case errors.As(err, &tooMuch):
		return nil, tooLarge(maxBody)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(req.Context().Err(), context.DeadlineExceeded):
		return nil, errSlowBody.Because(err)
	case err != nil:
		return nil, errMalformed.Because(err)
	case len(bytes.TrimSpace(body)) == 0 && required:
		return nil, errEmptyBody
	case len(bytes.TrimSpace(body)) == 0:
		req.Body, req.ContentLength = http.NoBody, 0
		return []byte("{}"), nil
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

const (
	maxDepth   = 32  // how deep JSON may be nested
	maxMembers = 128 // how many members one object may have
)

// wellFormed is stricter than encoding/json: no member twice, valid UTF-8,
// bounded depth and breadth, nothing behind the value.
func wellFormed(body []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(body))
	for {
		if _, err := d.ReadToken(); err != nil {
			return err
		}
		depth := d.StackDepth()
		// The length counts names and values.
		if kind, length := d.StackIndex(depth); kind == '{' && length > 2*maxMembers {
			return errors.New("too many members")
		}
		switch {
		case depth > maxDepth:
			return errors.New("nested too deep")
		case depth > 0:
			continue
		}
		if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
			return errors.New("data behind the value")
		}
		return nil
	}
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
