package identity

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/mailer"
	"github.com/authservice/authservice/internal/pgdb"
)

// UserFilter picks users; the zero value picks all.
type UserFilter struct {
	Text   *string // a part of the address or the name, in any case
	Email  *string // the address, in any of its variants
	Role   *string
	Status *string
}

// Users lists the users before an id (uuid.Max for all), newest first; more
// says that there are older ones.
func (s *Service) Users(ctx context.Context, f UserFilter, before uuid.UUID, limit int) (page []User, more bool, err error) {
	now := s.clock()
	list := dbgen.UserListParams{Before: before, Role: f.Role, Status: f.Status, Now: &now, PageSize: int32(limit) + 1} //nolint:gosec // at most 200
	if f.Email != nil {
		address, err := NormalizeEmail(*f.Email)
		if err != nil {
			return nil, false, nil //nolint:nilerr // nobody has what is no address
		}
		list.Email = &address
	}
	if f.Text != nil {
		pattern := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(*f.Text)) + "%"
		list.Pattern = &pattern
	}
	rows, err := s.q.UserList(ctx, pgdb.Planned{DBTX: s.Reads}, list)
	if err != nil {
		return nil, false, pgdb.Classify(err)
	}
	rows, more = cut(rows, limit)
	for _, row := range rows {
		page = append(page, userFrom(row, now))
	}
	return page, more, nil
}

// User returns a user. Errors: ErrUserNotFound.
func (s *Service) User(ctx context.Context, id uuid.UUID) (User, error) {
	row, err := s.q.UserGet(ctx, s.pool, id)
	return userFrom(row, s.clock()), notFoundOr(err)
}

func notFoundOr(err error) error {
	if pgdb.NoRows(err) {
		return ErrUserNotFound
	}
	return pgdb.Classify(err)
}

// Invite makes a user and mails a link with which to set a password. Errors:
// ErrEmailTaken, ErrAdminRequired, an invalid address, name or locale.
func (s *Service) Invite(ctx context.Context, by Caller, n NewUser) (user User, err error) {
	if n.Email, err = NormalizeEmail(n.Email); err != nil {
		return User{}, err
	}
	if err := checkName(n.Name); err != nil {
		return User{}, err
	}
	if n.Locale, err = normalizeLocale(n.Locale); err != nil {
		return User{}, err
	}
	if n.Role == RoleAdmin && !by.IsAdmin() {
		return User{}, ErrAdminRequired
	}
	err = pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		if user, err = s.insertUser(ctx, tx, n, nil); err != nil {
			return err
		}
		if err := s.Audit.Write(ctx, tx, audit.UserCreated, audit.OnUser(user.ID), audit.Details{"role": n.Role}); err != nil {
			return err
		}
		return s.mailPasswordLink(ctx, tx, user, mailer.Invitation, Device{})
	})
	return user, err
}

// administered is a user under lock, about to be changed by somebody else.
type administered struct {
	dbgen.User
	lastAdmin bool // whether nobody could administer without them
}

// administer runs change on a user under lock. What could take the last
// administrator away asks for the lock on all of them first. Errors:
// ErrUserNotFound; ErrAdminRequired when a key would change an administrator,
// which would make it more than the key of one.
func (s *Service) administer(ctx context.Context, by Caller, id uuid.UUID, lockAdmins bool, change func(pgx.Tx, administered) error) error {
	return pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		var admins []uuid.UUID
		if lockAdmins {
			now := s.clock()
			var err error
			if admins, err = s.q.UserLockAdmins(ctx, tx, &now); err != nil {
				return fmt.Errorf("locking the administrators: %w", err)
			}
		}
		row, err := s.q.UserLock(ctx, tx, id)
		if err != nil {
			return notFoundOr(err)
		}
		if row.Role == RoleAdmin && by.IsKey() {
			return ErrAdminRequired
		}
		return change(tx, administered{User: row, lastAdmin: len(admins) == 1 && admins[0] == id})
	})
}

// ChangeUser changes a user's profile or role. Errors: ErrUserNotFound,
// ErrAdminRequired, ErrLastAdmin, an invalid name or locale.
func (s *Service) ChangeUser(ctx context.Context, by Caller, id uuid.UUID, c UserChange) (user User, err error) {
	if c.Role != nil && *c.Role == RoleAdmin && !by.IsAdmin() {
		return User{}, ErrAdminRequired
	}
	err = s.administer(ctx, by, id, c.Role != nil, func(tx pgx.Tx, before administered) error {
		newRole := c.Role != nil && *c.Role != before.Role
		if newRole && before.lastAdmin {
			return ErrLastAdmin
		}
		if user, err = s.update(ctx, tx, id, c); err != nil || !newRole {
			return err
		}
		return s.Audit.Write(ctx, tx, audit.PermissionsChanged, audit.OnUser(id), audit.Details{"before": before.Role, "after": *c.Role})
	})
	return user, err
}

// Suspend keeps a user out, at once, until a moment (nil for good). Errors:
// ErrUserNotFound, ErrAdminRequired, ErrLastAdmin, a moment in the past.
func (s *Service) Suspend(ctx context.Context, by Caller, id uuid.UUID, reason string, until *time.Time) (user User, err error) {
	now := s.clock()
	if until != nil && !until.After(now) {
		return User{}, apperr.InvalidField("/until", "must lie in the future")
	}
	err = s.administer(ctx, by, id, true, func(tx pgx.Tx, before administered) error {
		if before.lastAdmin {
			return ErrLastAdmin
		}
		row, err := s.q.UserSuspend(ctx, tx, dbgen.UserSuspendParams{ID: id, Reason: &reason, Until: until, Now: &now})
		if err != nil {
			return fmt.Errorf("suspending: %w", err)
		}
		user = userFrom(row, now)
		// The reason is a person's text about a person, and so is not in an event that is kept for ever.
		details := audit.Details{"before": statusOf(before.User, now), "after": user.Status, "until": until}
		if err := s.Audit.Write(ctx, tx, audit.UserSuspended, audit.OnUser(id), details); err != nil {
			return err
		}
		return s.endAll(ctx, tx, id, nil, endedBySuspension)
	})
	return user, err
}

// Unsuspend lets a user in again. Errors: ErrUserNotFound, ErrAdminRequired.
func (s *Service) Unsuspend(ctx context.Context, by Caller, id uuid.UUID) (user User, err error) {
	err = s.administer(ctx, by, id, false, func(tx pgx.Tx, before administered) error {
		if before.Status == StatusActive {
			user = userFrom(before.User, s.clock())
			return nil
		}
		user, err = s.unsuspend(ctx, tx, id, nil)
		return err
	})
	return user, err
}

func (s *Service) unsuspend(ctx context.Context, tx pgx.Tx, id uuid.UUID, because audit.Details) (User, error) {
	now := s.clock()
	row, err := s.q.UserUnsuspend(ctx, tx, dbgen.UserUnsuspendParams{ID: id, Now: now})
	if err != nil {
		return User{}, fmt.Errorf("ending a suspension: %w", err)
	}
	details := audit.Details{"before": StatusSuspended, "after": StatusActive}
	for name, value := range because {
		details[name] = value
	}
	return userFrom(row, now), s.Audit.Write(ctx, tx, audit.UserUnsuspended, audit.OnUser(id), details)
}

// EndSessionsOf ends all sessions of a user. Errors: ErrUserNotFound, ErrAdminRequired.
func (s *Service) EndSessionsOf(ctx context.Context, by Caller, id uuid.UUID) error {
	return s.administer(ctx, by, id, false, func(tx pgx.Tx, _ administered) error {
		return s.endAll(ctx, tx, id, nil, endedByAdmin)
	})
}

// SendPasswordReset mails a user a link to set a new password; for one who has
// none yet it is the invitation again. Errors: ErrUserNotFound, ErrAdminRequired.
func (s *Service) SendPasswordReset(ctx context.Context, by Caller, id uuid.UUID) error {
	return s.administer(ctx, by, id, false, func(tx pgx.Tx, row administered) error {
		if err := s.Audit.Write(ctx, tx, audit.PasswordResetRequested, audit.OnUser(id), nil); err != nil {
			return err
		}
		kind := mailer.ResetPassword
		if row.PasswordHash == nil {
			kind = mailer.Invitation
		}
		return s.mailPasswordLink(ctx, tx, userFrom(row.User, s.clock()), kind, Device{})
	})
}
