package pgdb

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/authservice/authservice/internal/apperr"
)

// Names of constraints that callers meet. They are part of the schema:
// TestConstraintNames checks that they exist.
const (
	ConstraintUserEmail      = "users_email_key"
	ConstraintIdempotencyKey = "idempotency_keys_pkey"
)

// Broke reports whether err is PostgreSQL's refusal because of the constraint.
func Broke(err error, constraint string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.ConstraintName == constraint
}

// NoRows reports whether a query that promises one row found none.
func NoRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }

// Classify makes an *apperr.Error of what the database said: Unavailable for
// what may pass by itself, Internal for the rest. Errors that are already an
// *apperr.Error, nil, and a caller's own cancellation are returned as they are.
func Classify(err error) error {
	var known *apperr.Error
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case Passing(err):
		return apperr.UnavailableBecause(err)
	}
	return apperr.InternalBecause(err)
}

// Passing says whether err may pass by itself: an overload, a database that does
// not answer.
func Passing(err error) bool {
	var (
		connect *pgconn.ConnectError
		network net.Error
	)
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &connect) || errors.As(err, &network) || pgconn.Timeout(err) {
		return true
	}
	state := sqlState(err)
	if len(state) != 5 {
		// No answer of PostgreSQL's at all: the connection broke.
		return pgconn.SafeToRetry(err)
	}
	switch state {
	case "40001", "40P01", // serialization failure, deadlock, after the last try
		"55P03", "57014", // lock timeout, statement timeout
		"25006": // read-only: a standby, or a database in maintenance
		return true
	}
	switch state[:2] {
	case "08", "53", "57": // connection, resources, operator intervention
		return true
	}
	return false
}

// Broken says that a connection that worked broke, so that it is not known what
// became of what was sent last. What may be done twice can be tried again.
func Broken(err error) bool {
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) || pgconn.Timeout(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	switch sqlState(err) {
	case "57P01", "57P02": // the server shuts down, or this connection was ended
		return true
	}
	var network net.Error
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.As(err, &network)
}

func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}
