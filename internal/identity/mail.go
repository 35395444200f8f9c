package identity

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/jobs"
	"github.com/authservice/authservice/internal/mailer"
	"github.com/authservice/authservice/internal/pgdb"
)

// Mail is a job: one mail to one user. It is enqueued in the transaction of the
// change that it speaks of, and holds no token.
type Mail struct {
	ID       uuid.UUID   `json:"id"`
	Template mailer.Kind `json:"template"`
	UserID   uuid.UUID   `json:"user_id"`
	To       string      `json:"to,omitempty"` // where it is not the user's own address
	LinkID   *uuid.UUID  `json:"link_id,omitempty"`
	NewEmail string      `json:"new_email,omitempty"`
	Device   Device      `json:"device"`
	At       time.Time   `json:"at"`

	// Credits, in the smallest unit.
	Amount    *int64 `json:"amount,omitempty"`
	Balance   *int64 `json:"balance,omitempty"`
	Threshold *int64 `json:"threshold,omitempty"`
}

// Kind implements river.JobArgs. Jobs are found by it when a user is erased.
func (Mail) Kind() string { return "mail" }

// sends tells whether mails of a kind are sent.
func (s *Service) sends(kind mailer.Kind) bool { return s.Mailer != nil && s.Mailer.Enabled(kind) }

// mail enqueues mails, all in one statement, but those that are not to be sent.
func (s *Service) mail(ctx context.Context, tx pgx.Tx, mails ...Mail) error {
	var enqueue []jobs.Args
	for _, m := range mails {
		if s.sends(m.Template) {
			m.ID, m.At = uuid.Must(uuid.NewV7()), s.clock()
			m.Device.UserAgent = CleanAgent(m.Device.UserAgent)
			enqueue = append(enqueue, m)
		}
	}
	if err := s.Jobs.Enqueue(ctx, tx, enqueue...); err != nil {
		return fmt.Errorf("enqueuing mails: %w", err)
	}
	return nil
}

// SendMail is the work of a Mail. It returns jobs.Moot where there is nothing
// to send any more: the user is gone, or the link was used or replaced; and
// jobs.Final where the server will never take it.
//
// A mail that the server has taken is sent once more only if the process dies,
// or loses the database, before that is written down; both have one Message-ID.
func (s *Service) SendMail(ctx context.Context, m Mail) error {
	row, err := s.q.UserGet(ctx, s.pool, m.UserID)
	if pgdb.NoRows(err) {
		return jobs.Moot(err)
	}
	if err != nil {
		return pgdb.Classify(err)
	}
	message := mailer.Message{
		Kind: m.Template, ID: m.ID.String(), To: *row.Email, Name: row.Name, NewEmail: m.NewEmail,
		At: m.At, UserAgent: m.Device.UserAgent, Amount: m.Amount, Balance: m.Balance, Threshold: m.Threshold,
	}
	if row.Locale != nil {
		message.Locale = *row.Locale
	}
	if m.Device.IP.IsValid() {
		message.IP = m.Device.IP.String()
	}
	if m.To != "" {
		message.To = m.To
	}
	if m.LinkID != nil {
		ttl := s.linkTTL(m.Template)
		link, err := s.q.OneTimeTokenSent(ctx, s.pool, dbgen.OneTimeTokenSentParams{ID: *m.LinkID, ExpiresAt: s.clock().Add(ttl)})
		if pgdb.NoRows(err) {
			return jobs.Moot(err)
		}
		if err != nil {
			return pgdb.Classify(err)
		}
		message.Link, message.LinkLifetime = s.link(link.ID, purpose(link.Purpose), m.Template == mailer.Invitation), ttl
	}
	err = s.Mailer.Send(ctx, message)
	if mailer.Permanent(err) {
		return jobs.Final(err)
	}
	if err == nil {
		_ = jobs.End(ctx, s.pool) // at once; where it fails the return does it
	}
	return err
}

func (s *Service) linkTTL(kind mailer.Kind) time.Duration {
	switch kind {
	case mailer.ResetPassword:
		return s.o.ResetTTL
	case mailer.Invitation:
		return s.o.InvitationTTL
	default:
		return s.o.VerifyTTL
	}
}

// mailVerification asks a user to show that the address is theirs.
func (s *Service) mailVerification(ctx context.Context, tx pgx.Tx, u User) error {
	if s.Mailer == nil {
		return nil
	}
	id, err := s.newLink(ctx, tx, u.ID, toVerifyEmail, u.Email, s.o.VerifyTTL)
	if err != nil {
		return err
	}
	return s.mail(ctx, tx, Mail{Template: mailer.VerifyEmail, UserID: u.ID, LinkID: &id})
}

// mailPasswordLink sends a link with which to set a password.
func (s *Service) mailPasswordLink(ctx context.Context, tx pgx.Tx, u User, kind mailer.Kind, d Device) error {
	if s.Mailer == nil {
		return nil
	}
	id, err := s.newLink(ctx, tx, u.ID, toSetPassword, u.Email, s.linkTTL(kind))
	if err != nil {
		return err
	}
	return s.mail(ctx, tx, Mail{Template: kind, UserID: u.ID, LinkID: &id, Device: d})
}
