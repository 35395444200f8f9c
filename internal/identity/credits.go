package identity

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/mailer"
)

// CreditNotice is what a posting did to one user's credits, in the smallest unit.
type CreditNotice struct {
	UserID  uuid.UUID
	Granted int64 // what was granted; 0 for nothing
	Balance int64 // after it
	Low     bool  // whether it made the balance fall below Options.LowBalance
}

// TellOfCredits enqueues the mails about postings, in their transaction and in
// one statement. Where there is nothing to tell it does nothing.
func (s *Service) TellOfCredits(ctx context.Context, tx pgx.Tx, notices []CreditNotice) error {
	var mails []Mail
	for _, n := range notices {
		if n.Granted > 0 {
			mails = append(mails, Mail{Template: mailer.CreditsGranted, UserID: n.UserID, Amount: &n.Granted, Balance: &n.Balance})
		}
		if n.Low {
			mails = append(mails, Mail{Template: mailer.LowBalance, UserID: n.UserID, Balance: &n.Balance, Threshold: &s.o.LowBalance})
		}
	}
	return s.mail(ctx, tx, mails...)
}
