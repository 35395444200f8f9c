package identity

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/mailer"
	"github.com/authservice/authservice/internal/pgdb"
)

// ForgotPassword mails a link to set a new password, if the address has an
// account. Errors: an invalid address, too many attempts.
func (s *Service) ForgotPassword(ctx context.Context, email string, d Device) error {
	return s.askByEmail(ctx, askedToReset, email, d)
}

// ResendVerification mails a new link to verify the address, if it has an
// account that needs it. Errors as of ForgotPassword.
func (s *Service) ResendVerification(ctx context.Context, email string, d Device) error {
	return s.askByEmail(ctx, askedToVerify, email, d)
}

func (s *Service) askByEmail(ctx context.Context, what, email string, d Device) error {
	address, err := NormalizeEmail(email)
	if err != nil {
		return err
	}
	if err := s.limitMail(ctx, address, d.IP); err != nil {
		return err
	}
	return s.ask(ctx, asked{What: what, Email: address})
}

// ResetPassword sets the password of whoever was mailed the link, and ends all
// their sessions. It also verifies the address that the link went to. Errors:
// ErrInvalidToken, an invalid password, which leaves the link as good as it was,
// too many attempts.
func (s *Service) ResetPassword(ctx context.Context, token, password string, d Device) error {
	if err := s.limitAddress(ctx, "link", d.IP, s.o.Limits.LinkPerAddress); err != nil {
		return err
	}
	link, err := s.findLink(ctx, token, toSetPassword)
	if err != nil {
		return err
	}
	row, err := s.q.UserGet(ctx, s.pool, link.UserID)
	if err != nil {
		return pgdb.Classify(invalidOr(err))
	}
	if err := checkPassword("/new_password", password, *row.Email, row.Name); err != nil {
		return err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		before, err := s.redeem(ctx, tx, link)
		if err != nil {
			return err
		}
		now := s.clock()
		if _, err := s.q.UserSetEmail(ctx, tx, dbgen.UserSetEmailParams{ID: before.ID, Email: before.Email, Now: now}); err != nil {
			return fmt.Errorf("verifying the address: %w", err)
		}
		ctx := inNameOf(ctx, audit.User(before.ID))
		if !before.EmailVerified {
			if err := s.Audit.Write(ctx, tx, audit.EmailVerified, audit.OnUser(before.ID), nil); err != nil {
				return err
			}
		}
		return s.setPassword(ctx, tx, before, hash, endedByPasswordReset, nil, d)
	})
}

// setPassword replaces a password, ends the user's sessions but the one to
// keep, and tells the user. To be called under the user's lock.
func (s *Service) setPassword(ctx context.Context, tx pgx.Tx, before dbgen.User, hash, reason string, keep *uuid.UUID, d Device) error {
	if _, err := s.q.UserSetPassword(ctx, tx, dbgen.UserSetPasswordParams{ID: before.ID, PasswordHash: &hash, Now: s.clock()}); err != nil {
		return fmt.Errorf("storing the password: %w", err)
	}
	// A link that was asked for before must not undo what was decided now: whoever
	// knew the old password could have had the account moved to their address.
	for _, p := range []purpose{toSetPassword, toChangeEmail} {
		if err := s.voidLink(ctx, tx, before.ID, p); err != nil {
			return err
		}
	}
	if err := s.Audit.Write(ctx, tx, audit.PasswordChange, audit.OnUser(before.ID), audit.Details{reasonDetail: reason}); err != nil {
		return err
	}
	if err := s.endAll(ctx, tx, before.ID, keep, reason); err != nil {
		return err
	}
	if before.PasswordHash == nil {
		return nil // an invitation taken up: nothing was replaced
	}
	return s.mail(ctx, tx, Mail{Template: mailer.PasswordChanged, UserID: before.ID, Device: d})
}
