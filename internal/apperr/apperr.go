package apperr

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"
)

// Kind says how a caller should take an error; each kind has one HTTP status.
type Kind uint8

// The kinds, in the order of their statuses.
const (
	Internal             Kind = iota // a fault of ours; the zero value is the safe default
	Malformed                        // the request cannot be read
	Unauthenticated                  // no valid credentials
	InsufficientCredits              // less is available than is needed
	Forbidden                        // known, but not allowed
	NotFound                         // there is no such thing
	MethodNotAllowed                 // the path has no such method
	Conflict                         // the state forbids it
	TooLarge                         // the request is too large
	UnsupportedMediaType             // the body is of another type
	Invalid                          // values break their rules
	TooMany                          // tried too often
	Unavailable                      // try again later
)

// Error is an error that a client may be told about.
type Error struct {
	Kind   Kind
	Code   string // stable, snake_case, listed in api/openapi.yaml
	Detail string // for people; never holds a submitted value
	Fields []Field
	// Shortfall is set with InsufficientCredits only.
	Shortfall *Shortfall
	// RetryAfter is set with TooMany and Unavailable: when another try makes sense.
	RetryAfter time.Duration
	// Reason tells the log what stands behind a code of many causes; empty for none.
	Reason string

	cause error
	stack []uintptr
}

// Field is one value of a request that breaks its rules.
type Field struct {
	Pointer string `json:"pointer"` // RFC 6901 into the body, or /path/…, /query/…, /header/…
	Message string `json:"message"` // reads on from the field's name: "must be at least 1"
}

// Shortfall says how many credits are missing.
type Shortfall struct{ Required, Available int64 }

// New makes an error without a cause.
func New(kind Kind, code, detail string) *Error {
	return &Error{Kind: kind, Code: code, Detail: detail}
}

// InvalidField is one value that breaks its rules.
func InvalidField(pointer, message string) *Error {
	return InvalidFields([]Field{{Pointer: pointer, Message: message}})
}

// InvalidFields are values that break their rules.
func InvalidFields(fields []Field) *Error {
	detail := "1 value breaks its rules."
	if len(fields) != 1 {
		detail = "Several values break their rules."
	}
	return &Error{Kind: Invalid, Code: "validation_failed", Detail: detail, Fields: fields}
}

// TooManyAttempts is for what was tried too often: wait is when it may be tried again.
func TooManyAttempts(wait time.Duration) *Error {
	return &Error{Kind: TooMany, Code: "too_many_attempts", Detail: "Too many attempts. Try again later.", RetryAfter: wait}
}

// UnavailableBecause is for what passes by itself: an overload, a database that
// does not answer.
func UnavailableBecause(cause error) *Error {
	return &Error{
		Kind: Unavailable, Code: "unavailable", Detail: "The service cannot answer right now. Try again shortly.",
		RetryAfter: time.Second, cause: cause,
	}
}

// InternalBecause hides a cause that no client can do anything about, and
// remembers where it was found.
func InternalBecause(cause error) *Error {
	stack := make([]uintptr, 32)
	return &Error{
		Kind: Internal, Code: "internal_error", Detail: "Something went wrong on our side.",
		cause: cause, stack: stack[:runtime.Callers(2, stack)],
	}
}

// WithFields returns a copy of e that names fields.
func (e *Error) WithFields(fields ...Field) *Error {
	c := *e
	c.Fields = fields
	return &c
}

// Because returns a copy of e with a cause for the logs.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// WithReason returns a copy of e with a reason for the logs.
func (e *Error) WithReason(reason string) *Error {
	c := *e
	c.Reason = reason
	return &c
}

// Error gives the code and the cause. It is for logs; clients are sent Detail.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.Code + ": " + e.cause.Error()
	}
	return e.Code
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is matches errors of the same code, whatever their cause.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// StackTrace tells where an internal error was found, innermost call first; of a
// panic it begins with the call that panicked. Other errors have none.
func (e *Error) StackTrace() string {
	if len(e.stack) == 0 {
		return ""
	}
	var b strings.Builder
	for frames := runtime.CallersFrames(e.stack); ; {
		f, more := frames.Next()
		if f.Function == "runtime.gopanic" {
			b.Reset()
		} else if b.Len() > 0 || !strings.HasPrefix(f.Function, "runtime.") { // not what raises a panic
			fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
		}
		if !more {
			return b.String()
		}
	}
}

// From returns the *Error in err's chain, or err as an internal error.
func From(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return InternalBecause(err)
}

// Plain is an error for a person at a terminal: its detail, and which values are
// wrong. Errors without a public message are returned as they are.
func Plain(err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Kind == Internal || e.Kind == Unavailable {
		return err
	}
	sentence := e.Detail
	for _, f := range e.Fields {
		sentence += fmt.Sprintf(" %s %s.", strings.Trim(f.Pointer, "/"), f.Message)
	}
	return errors.New(sentence)
}
