package ledgerproof

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Break is the first thing that was found to be wrong with a ledger. It is the
// error that Verify returns for it.
type Break struct {
	// UserID is whose account it is in; uuid.Nil where it is in none.
	UserID uuid.UUID `json:"user_id,omitzero"`
	// Record is what is broken, such as "transaction 5"; empty for the account itself.
	Record  string `json:"record,omitempty"`
	Problem string `json:"problem"`
}

// Error says all of it in a sentence.
func (b *Break) Error() string {
	var where []string
	if b.UserID != uuid.Nil {
		where = append(where, "account "+b.UserID.String())
	}
	if b.Record != "" {
		where = append(where, b.Record)
	}
	return strings.Join(where, ", ") + ": " + b.Problem
}

// broken is a break that is in no account.
func broken(record, problem string, args ...any) error {
	return &Break{Record: record, Problem: fmt.Sprintf(problem, args...)}
}

// brokenIn is one in an account.
func brokenIn(userID uuid.UUID, record, problem string, args ...any) error {
	return &Break{UserID: userID, Record: record, Problem: fmt.Sprintf(problem, args...)}
}
