// Package prooftest lets tests prove what the code under test has done to the
// ledger.
package prooftest

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/authservice/authservice/internal/ledgerproof"
)

// RequireSound proves the ledger of a test's database. It may be called when the
// test itself is over.
func RequireSound(t testing.TB, pool *pgxpool.Pool) ledgerproof.Report {
	t.Helper()
	report, err := ledgerproof.Verify(context.WithoutCancel(t.Context()), pool, ledgerproof.Options{})
	if err != nil {
		t.Fatalf("the ledger is broken: %v", err)
	}
	return report
}
