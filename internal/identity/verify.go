package identity

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/mailer"
	"github.com/authservice/authservice/internal/pgdb"
)

// VerifyEmail takes the token of a link that verifies an address, or confirms a
// new one. Errors: ErrInvalidToken; ErrEmailTaken when somebody else has taken
// the new address meanwhile; too many attempts.
func (s *Service) VerifyEmail(ctx context.Context, token string, d Device) error {
	if err := s.limitAddress(ctx, "link", d.IP, s.o.Limits.LinkPerAddress); err != nil {
		return err
	}
	link, err := s.findLink(ctx, token, toVerifyEmail, toChangeEmail)
	if err != nil {
		return err
	}
	return pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		before, err := s.redeem(ctx, tx, link)
		if err != nil {
			return err
		}
		ctx := inNameOf(ctx, audit.User(before.ID))
		_, err = s.q.UserSetEmail(ctx, tx, dbgen.UserSetEmailParams{ID: before.ID, Email: &link.Email, Now: s.clock()})
		if pgdb.Broke(err, pgdb.ConstraintUserEmail) {
			return ErrEmailTaken
		}
		if err != nil {
			return fmt.Errorf("storing the address: %w", err)
		}
		if purpose(link.Purpose) == toChangeEmail {
			return s.emailChanged(ctx, tx, before, link.Email, d)
		}
		if before.EmailVerified {
			return nil
		}
		if err := s.Audit.Write(ctx, tx, audit.EmailVerified, audit.OnUser(before.ID), nil); err != nil {
			return err
		}
		return s.mail(ctx, tx, Mail{Template: mailer.Welcome, UserID: before.ID})
	})
}

// emailChanged tells the old address. Links that went to it are void.
func (s *Service) emailChanged(ctx context.Context, tx pgx.Tx, before dbgen.User, now string, d Device) error {
	if err := s.q.OneTimeTokenDeleteOfUser(ctx, tx, before.ID); err != nil {
		return fmt.Errorf("voiding links: %w", err)
	}
	if err := s.Audit.Write(ctx, tx, audit.EmailChanged, audit.OnUser(before.ID), nil); err != nil {
		return err
	}
	return s.mail(ctx, tx, Mail{Template: mailer.EmailChanged, UserID: before.ID, To: *before.Email, NewEmail: now, Device: d})
}

// ChangeEmail mails a link to a new address; it becomes the caller's when the
// link is opened and confirmed. Whether the address has an account already only
// its mailbox learns. Errors: ErrWrongPassword, an invalid address, too many
// attempts.
func (s *Service) ChangeEmail(ctx context.Context, by Caller, email, password string, d Device) error {
	address, err := NormalizeEmail(email)
	if err != nil {
		return apperr.InvalidField("/new_email", "must be an e-mail address")
	}
	row, err := s.confirm(ctx, by, password, audit.PasswordConfirmFail, audit.Details{"operation": "change_email"})
	if err != nil {
		return err
	}
	if address == *row.Email {
		return apperr.InvalidField("/new_email", "must not be the account's address already")
	}
	if err := s.limitMail(ctx, address, d.IP); err != nil {
		return err
	}
	return pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := s.lockConfirmed(ctx, tx, row); err != nil {
			return err
		}
		if err := s.Audit.Write(ctx, tx, audit.EmailChangeRequested, audit.OnUser(row.ID), nil); err != nil {
			return err
		}
		if s.Mailer == nil {
			return nil
		}
		// Also where no newer link replaces it: that it goes on would tell the caller
		// that the new address has an account.
		if err := s.voidLink(ctx, tx, row.ID, toChangeEmail); err != nil {
			return err
		}
		owner, err := s.q.UserGetByEmail(ctx, tx, &address)
		if err == nil {
			return s.mail(ctx, tx, Mail{Template: mailer.AccountExists, UserID: owner.ID, Device: d})
		}
		if !pgdb.NoRows(err) {
			return fmt.Errorf("looking for the new address: %w", err)
		}
		id, err := s.newLink(ctx, tx, row.ID, toChangeEmail, address, s.o.VerifyTTL)
		if err != nil {
			return err
		}
		return s.mail(ctx, tx, Mail{Template: mailer.ConfirmEmailChange, UserID: row.ID, To: address, LinkID: &id, NewEmail: address, Device: d})
	})
}
