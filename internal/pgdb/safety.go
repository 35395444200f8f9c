package pgdb

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Verified reports whether nobody between the service and the database can read
// or change what they say: the server shows a certificate that is checked, or it
// runs on this machine.
func Verified(pool *pgxpool.Pool) bool {
	c := pool.Config().ConnConfig
	if ip := net.ParseIP(c.Host); strings.HasPrefix(c.Host, "/") || c.Host == "localhost" || ip != nil && ip.IsLoopback() {
		return true
	}
	// With sslmode=verify-ca the library checks by itself, in place of crypto/tls.
	return c.TLSConfig != nil && (!c.TLSConfig.InsecureSkipVerify || c.TLSConfig.VerifyPeerCertificate != nil)
}

// Overpowered reports whether the role may do what the service never does: alter
// the schema, or rewrite history.
func Overpowered(ctx context.Context, pool *pgxpool.Pool) (bool, error) {
	var is bool
	err := pool.QueryRow(ctx, `SELECT has_schema_privilege(current_schema(), 'CREATE')
		OR has_table_privilege('credit_transactions', 'UPDATE, DELETE, TRUNCATE') OR has_table_privilege('audit_events', 'UPDATE, DELETE, TRUNCATE')`).Scan(&is)
	if err != nil {
		return false, fmt.Errorf("looking at the rights of the database's role: %w", err)
	}
	return is, nil
}
