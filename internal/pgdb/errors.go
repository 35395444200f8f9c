package pgdb

import (
	"context"
	"errors"
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
	case passing(err):
		return apperr.UnavailableBecause(err)
	}
	return apperr.InternalBecause(err)
}

func passing(err error) bool {
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

func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}
