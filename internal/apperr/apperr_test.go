package apperr_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
)

var (
	errCause = errors.New("the cause")
	errTaken = apperr.New(apperr.Conflict, "email_taken", "An account with this e-mail address exists.")
)

func TestError(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err    *apperr.Error
		kind   apperr.Kind
		code   string
		detail string
		text   string
		after  time.Duration
	}{
		"Zero":     {&apperr.Error{}, apperr.Internal, "", "", "", 0},
		"New":      {errTaken, apperr.Conflict, "email_taken", "An account with this e-mail address exists.", "email_taken", 0},
		"Because":  {errTaken.Because(errCause), apperr.Conflict, "email_taken", errTaken.Detail, "email_taken: the cause", 0},
		"Field":    {apperr.InvalidField("/a", "must be b"), apperr.Invalid, "validation_failed", "1 value breaks its rules.", "validation_failed", 0},
		"Fields":   {apperr.InvalidFields(make([]apperr.Field, 2)), apperr.Invalid, "validation_failed", "Several values break their rules.", "validation_failed", 0},
		"Internal": {apperr.InternalBecause(errCause), apperr.Internal, "internal_error", "Something went wrong on our side.", "internal_error: the cause", 0},
		"Unavailable": {
			apperr.UnavailableBecause(errCause), apperr.Unavailable, "unavailable",
			"The service cannot answer right now. Try again shortly.", "unavailable: the cause", time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.kind, test.err.Kind)
			require.Equal(t, test.code, test.err.Code)
			require.Equal(t, test.detail, test.err.Detail)
			require.EqualError(t, test.err, test.text)
			require.Equal(t, test.after, test.err.RetryAfter)
			require.NotContains(t, test.err.Detail, "cause", "the cause is for the logs only")
			require.Equal(t, strings.Contains(test.text, "cause"), errors.Is(test.err, errCause))
		})
	}
}

func TestError_Is(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err, target error
		want        bool
	}{
		"Itself":      {errTaken, errTaken, true},
		"Wrapped":     {fmt.Errorf("registering: %w", errTaken), errTaken, true},
		"WithCause":   {errTaken.Because(errCause), errTaken, true},
		"WithFields":  {errTaken.WithFields(apperr.Field{Pointer: "/email"}), errTaken, true},
		"SameCode":    {apperr.New(apperr.Invalid, "email_taken", ""), errTaken, true},
		"OtherCode":   {apperr.New(apperr.Conflict, "last_admin", ""), errTaken, false},
		"Cause":       {errTaken.Because(errCause), errCause, true},
		"NotTheCause": {errTaken, errCause, false},
		"Plain":       {errCause, errTaken, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, errors.Is(test.err, test.target))
		})
	}
}

// Refusals are shared by all requests: what one request adds must not show in another.
func TestError_CopiesAreApart(t *testing.T) {
	t.Parallel()
	shared := apperr.New(apperr.Invalid, "code", "detail")
	copied := shared.Because(errCause).WithFields(apperr.Field{Pointer: "/a", Message: "m"})
	require.Equal(t, []apperr.Field{{Pointer: "/a", Message: "m"}}, copied.Fields)
	require.ErrorIs(t, copied, errCause)
	require.Empty(t, shared.Fields)
	require.NoError(t, errors.Unwrap(shared))
}

func TestFrom(t *testing.T) {
	t.Parallel()
	require.Same(t, errTaken, apperr.From(errTaken))
	require.Same(t, errTaken, apperr.From(fmt.Errorf("a: %w", fmt.Errorf("b: %w", errTaken))))
	require.Same(t, errTaken, apperr.From(errors.Join(errCause, errTaken)))

	for _, err := range []error{errCause, context.Canceled, fmt.Errorf("wrapped: %w", errCause)} {
		got := apperr.From(err)
		require.Equal(t, apperr.Internal, got.Kind, "the safe default")
		require.Equal(t, "internal_error", got.Code)
		require.ErrorIs(t, got, err)
	}
}

func TestError_StackTrace(t *testing.T) {
	t.Parallel()
	require.Empty(t, errTaken.StackTrace())
	require.Empty(t, apperr.UnavailableBecause(errCause).StackTrace())

	first := regexp.MustCompile(`^\S+apperr_test\.found\n\t\S+apperr_test\.go:\d+\n`)
	require.Regexp(t, first, found().StackTrace())
	require.Contains(t, found().StackTrace(), "apperr_test.TestError_StackTrace\n", "and how it came there")
	require.Regexp(t, first, found().Because(errCause).StackTrace(), "a copy keeps it")

	// What Go does to raise a panic is left out.
	for name, f := range map[string]func(){
		"Panic":   func() { panic("on purpose") },
		"Runtime": func() { _ = []int{}[len(name())] },
	} {
		func() {
			defer func() {
				require.NotNil(t, recover())
				require.Regexp(t, `^\S+apperr_test\.TestError_StackTrace\.func\d`, apperr.InternalBecause(errCause).StackTrace(), name)
			}()
			f()
		}()
	}
}

func name() string { return "n" }

func found() *apperr.Error { return apperr.InternalBecause(errCause) }

func TestPlain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"Refusal":  {errTaken.Because(errCause), "An account with this e-mail address exists."},
		"Wrapped":  {fmt.Errorf("registering: %w", errTaken), "An account with this e-mail address exists."},
		"Field":    {apperr.InvalidField("/email", "must be an e-mail address"), "1 value breaks its rules. email must be an e-mail address."},
		"Fields":   {apperr.InvalidFields([]apperr.Field{{"/a", "must be 1"}, {"/b/c", "is missing"}}), "Several values break their rules. a must be 1. b/c is missing."},
		"Internal": {apperr.InternalBecause(errCause), "internal_error: the cause"},
		"Unavail":  {apperr.UnavailableBecause(errCause), "unavailable: the cause"},
		"Plain":    {errCause, "the cause"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.EqualError(t, apperr.Plain(test.err), test.want)
		})
	}
	require.NoError(t, apperr.Plain(nil))
}
