package identity

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/dbgen"
)

// DeleteUser erases a user. Errors: ErrUserNotFound, ErrAdminRequired, ErrLastAdmin.
func (s *Service) DeleteUser(ctx context.Context, by Caller, id uuid.UUID) error {
	return s.administer(ctx, by, id, true, func(tx pgx.Tx, row administered) error { return s.erase(ctx, tx, row) })
}

// DeleteMe erases the caller, who shows the password again. Errors:
// ErrWrongPassword, ErrLastAdmin, too many attempts.
func (s *Service) DeleteMe(ctx context.Context, by Caller, password string) error {
	if _, err := s.confirm(ctx, by, password, audit.PasswordConfirmFail, audit.Details{"operation": "delete_account"}); err != nil {
		return err
	}
	return s.administer(ctx, by, by.UserID, true, func(tx pgx.Tx, row administered) error { return s.erase(ctx, tx, row) })
}

// erase removes everything that is held about a person. What stays is an id:
// in the ledger, so that it adds up, and in the audit events.
func (s *Service) erase(ctx context.Context, tx pgx.Tx, row administered) error {
	if row.lastAdmin {
		return ErrLastAdmin
	}
	id := row.ID
	if err := s.Audit.Write(ctx, tx, audit.UserDeleted, audit.OnUser(id), audit.Details{"role": row.Role}); err != nil {
		return err
	}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"sessions", func() error { return s.q.SessionDeleteOfUser(ctx, tx, id) }},
		{"devices", func() error { return s.q.UserDeviceDeleteOfUser(ctx, tx, id) }},
		{"links", func() error { return s.q.OneTimeTokenDeleteOfUser(ctx, tx, id) }},
		{"mails", func() error {
			return s.q.MailJobDeleteOfUser(ctx, tx, dbgen.MailJobDeleteOfUserParams{Kind: Mail{}.Kind(), UserID: id.String()})
		}},
		{"addresses", func() error { return s.Audit.EraseClients(ctx, tx, id) }},
		{"account", func() error { return s.UserDeleted(ctx, tx, id) }},
		{"user", func() error { return s.q.UserErase(ctx, tx, dbgen.UserEraseParams{ID: id, Now: s.clock()}) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("erasing the %s: %w", step.what, err)
		}
	}
	return nil
}
