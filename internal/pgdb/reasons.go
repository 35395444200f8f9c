package pgdb

import (
	"context"
	"errors"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
)

// Why the database cannot be used, for the log: whoever is woken by 503s should
// not have to read messages of drivers.
const (
	ReasonUnreachable     = "database_unreachable"      // it refuses connections, or cannot be found
	ReasonStarting        = "database_starting"         // or stopping
	ReasonSilent          = "database_silent"           // it is connected, and says nothing; see Watch
	ReasonLost            = "connection_lost"           // in the middle of a statement
	ReasonUnknown         = "commit_unknown"            // in the middle of a commit: it may have happened
	ReasonTimeout         = "database_timeout"          // the request's time was up, or that for a free connection
	ReasonStatement       = "statement_timeout"         // of PostgreSQL
	ReasonLock            = "lock_timeout"              // somebody else holds what the request needs
	ReasonConflict        = "transaction_conflict"      // deadlocks or serialization failures, after the last try
	ReasonReadOnly        = "database_read_only"        // a standby, or maintenance
	ReasonDiskFull        = "database_disk_full"        //
	ReasonOutOfMemory     = "database_out_of_memory"    //
	ReasonConnections     = "database_connections_full" // max_connections of the server, the role or the database
	ReasonOtherLimit      = "database_limit"            // another limit of the server
	ReasonOperator        = "database_operator"         // another intervention
	ReasonConnectionOther = "database_connection"       // another fault of the connection; PgBouncer's word for its own (08P01)
)

// reasons are those of SQLSTATEs, and of their classes where the single one does not matter.
var reasons = map[string]string{
	"40001": ReasonConflict, "40P01": ReasonConflict,
	"55P03": ReasonLock, "57014": ReasonStatement,
	"25006": ReasonReadOnly,
	"25P03": ReasonLost, // idle in a transaction: this process stood still
	"53100": ReasonDiskFull, "53200": ReasonOutOfMemory, "53300": ReasonConnections, "53": ReasonOtherLimit,
	"57P01": ReasonLost, "57P02": ReasonLost, "57P03": ReasonStarting, "57P05": ReasonLost, "57": ReasonOperator,
	"08003": ReasonLost, "08006": ReasonLost, "08": ReasonConnectionOther,
}

// passing is why err may pass by itself, or empty.
func passing(err error) string {
	var (
		connect *pgconn.ConnectError
		network net.Error
	)
	reason, connecting := bySQLState(err), errors.As(err, &connect)
	switch {
	case connecting && (reason == ReasonLost || reason == ReasonConnectionOther):
		return ReasonUnreachable
	case reason != "":
		return reason
	case errors.Is(err, errSilent):
		return ReasonSilent
	case connecting:
		return ReasonUnreachable
	case sqlState(err) != "":
		return ""
	case errors.Is(err, context.DeadlineExceeded), pgconn.Timeout(err):
		return ReasonTimeout
	case Lost(err), errors.As(err, &network):
		return ReasonLost
	}
	return ""
}

// bySQLState is the reason where PostgreSQL itself said it, or empty.
func bySQLState(err error) string {
	state := sqlState(err)
	if len(state) != 5 {
		return ""
	}
	if reason, known := reasons[state]; known {
		return reason
	}
	return reasons[state[:2]]
}
