package pgdb

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/authservice/authservice/internal/apperr"
)

// Names of constraints that callers meet. They are part of the schema:
// TestConstraintNames checks that they exist.
const (
	ConstraintUserEmail        = "users_email_key"
	ConstraintIdempotencyKey   = "idempotency_keys_pkey"
	ConstraintCheckpointNumber = "ledger_checkpoints_pkey"
)

// Broke reports whether err is PostgreSQL's refusal because of the constraint.
func Broke(err error, constraint string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.ConstraintName == constraint
}

// NoRows reports whether a query that promises one row found none.
func NoRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }

// Classify makes an *apperr.Error of what the database said: Unavailable for
// what may pass by itself, with the reason for the log, Internal for the rest.
// Errors that are already an *apperr.Error, nil, and a caller's own cancellation
// are returned as they are.
func Classify(err error) error {
	var known *apperr.Error
	if err == nil || errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	if reason := passing(err); reason != "" {
		return apperr.UnavailableBecause(err).WithReason(reason)
	}
	return apperr.InternalBecause(err)
}

// Passing says whether err may pass by itself: an overload, a database that does
// not answer.
func Passing(err error) bool { return passing(err) != "" }

// Lost reports whether the connection broke under a statement, which may have
// been carried out or not. Its transaction was not committed, unless it was being
// so: a read, or a transaction that was not, may be repeated.
func Lost(err error) bool {
	switch reason := bySQLState(err); reason {
	case "":
		return pgconn.SafeToRetry(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
			errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	default:
		return reason == ReasonLost
	}
}

func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}
