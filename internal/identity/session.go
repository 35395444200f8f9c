package identity

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/tokens"
)

// Why a session ended.
const (
	endedByLogout         = "logout"
	endedByReuse          = "refresh_token_reused"
	endedByUser           = "ended_by_user"
	endedByAdmin          = "ended_by_admin"
	endedByLimit          = "session_limit" // also in SessionEndOldest
	endedByPasswordChange = "password_changed"
	endedByPasswordReset  = "password_reset"
	endedBySuspension     = "suspended"
	sessionDetail         = "session_id"
	reasonDetail          = "reason"
)

// Session is what a person gets who logs in.
type Session struct {
	AccessToken      string
	ExpiresIn        time.Duration
	RefreshToken     string
	RefreshExpiresIn time.Duration
	User             User
}

// startSession logs a user in, who must still be allowed to, with the password
// of which checked is the hash: a change of it ends the sessions that there are,
// and so must keep out those that come after it with the old one. Errors:
// ErrInvalidCredentials, errPasswordReplaced.
func (s *Service) startSession(ctx context.Context, tx pgx.Tx, userID uuid.UUID, checked string, d Device) (Session, error) {
	now := s.clock()
	row, err := s.q.UserLoggedIn(ctx, tx, dbgen.UserLoggedInParams{ID: userID, Now: &now})
	if pgdb.NoRows(err) {
		return Session{}, ErrInvalidCredentials // suspended or deleted since the password was checked
	}
	if err != nil {
		return Session{}, fmt.Errorf("noting the login: %w", err)
	}
	if row.PasswordHash == nil || *row.PasswordHash != checked {
		return Session{}, errPasswordReplaced
	}
	id := uuid.Must(uuid.NewV7())
	end := now.Add(s.o.SessionTTL)
	insert := dbgen.SessionInsertParams{ID: id, UserID: userID, UserAgent: CleanAgent(d.UserAgent), Now: now, ExpiresAt: end}
	if d.IP.IsValid() {
		insert.IP = &d.IP
	}
	if err := s.q.SessionInsert(ctx, tx, insert); err != nil {
		return Session{}, fmt.Errorf("inserting the session: %w", err)
	}
	if err := s.noteDevice(ctx, tx, userID, d); err != nil {
		return Session{}, err
	}
	refresh := newRefreshToken()
	expires, err := s.storeRefresh(ctx, tx, refresh, id, end)
	if err != nil {
		return Session{}, err
	}
	if err := s.Audit.WriteAs(ctx, tx, audit.User(userID), audit.LoginSuccess, audit.OnUser(userID), audit.Details{sessionDetail: id}); err != nil {
		return Session{}, err
	}
	ended, err := s.q.SessionEndOldest(ctx, tx, dbgen.SessionEndOldestParams{UserID: userID, Now: &now, Keep: int32(s.o.MaxSessions)}) //nolint:gosec // a small setting
	if err != nil {
		return Session{}, fmt.Errorf("ending the oldest session: %w", err)
	}
	if err := s.auditEnded(ctx, tx, audit.System, userID, endedByLimit, ended...); err != nil {
		return Session{}, err
	}
	return s.session(userFrom(row, now), id, refresh, expires.Sub(now))
}

// session puts the answer together, with a new access token.
func (s *Service) session(u User, id uuid.UUID, refresh string, refreshExpiresIn time.Duration) (Session, error) {
	access, err := s.Tokens.Issue(tokens.Subject{UserID: u.ID, SessionID: id, Role: u.Role, Scopes: scopesOf(u.Role)})
	if err != nil {
		return Session{}, err
	}
	return Session{AccessToken: access, ExpiresIn: s.Tokens.TTL(), RefreshToken: refresh, RefreshExpiresIn: refreshExpiresIn, User: u}, nil
}

// LogOut ends the caller's session.
func (s *Service) LogOut(ctx context.Context, by Caller) error {
	_, err := s.endSession(ctx, by, by.SessionID, endedByLogout)
	return err
}

// EndSession ends one of the caller's sessions. Errors: ErrSessionNotFound, also
// for those of others and those that have ended.
func (s *Service) EndSession(ctx context.Context, by Caller, id uuid.UUID) error {
	found, err := s.endSession(ctx, by, id, endedByUser)
	if err == nil && !found {
		err = ErrSessionNotFound
	}
	return err
}

func (s *Service) endSession(ctx context.Context, by Caller, id uuid.UUID, reason string) (found bool, err error) {
	err = pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		now := s.clock()
		n, err := s.q.SessionEnd(ctx, tx, dbgen.SessionEndParams{ID: id, UserID: by.UserID, Now: &now, Reason: &reason})
		if found = n > 0; err != nil || !found {
			return err
		}
		return s.auditEnded(ctx, tx, audit.User(by.UserID), by.UserID, reason, id)
	})
	return found, err
}

// EndOtherSessions ends the caller's sessions, all but the one that asks, or all.
func (s *Service) EndOtherSessions(ctx context.Context, by Caller, andThis bool) error {
	keep := &by.SessionID
	if andThis {
		keep = nil
	}
	return pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := s.q.UserLock(ctx, tx, by.UserID); err != nil {
			return goneOr(err)
		}
		return s.endAll(ctx, tx, by.UserID, keep, endedByUser)
	})
}

// endAll ends a user's sessions but the one to keep, if there is one. To be
// called under the user's lock.
func (s *Service) endAll(ctx context.Context, tx pgx.Tx, userID uuid.UUID, keep *uuid.UUID, reason string) error {
	now := s.clock()
	ended, err := s.q.SessionEndAll(ctx, tx, dbgen.SessionEndAllParams{UserID: userID, Keep: keep, Now: &now, Reason: &reason})
	if err != nil {
		return fmt.Errorf("ending the sessions: %w", err)
	}
	return s.auditEnded(ctx, tx, audit.SourceOf(ctx).Actor, userID, reason, ended...)
}

func (s *Service) auditEnded(ctx context.Context, tx pgx.Tx, actor audit.Actor, userID uuid.UUID, reason string, ids ...uuid.UUID) error {
	for _, id := range ids {
		details := audit.Details{sessionDetail: id, reasonDetail: reason}
		if err := s.Audit.WriteAs(ctx, tx, actor, audit.SessionExpired, audit.OnUser(userID), details); err != nil {
			return err
		}
	}
	return nil
}

// SessionInfo is a session as its owner sees it.
type SessionInfo struct {
	ID         uuid.UUID
	IP         netip.Addr // invalid where it is not known
	UserAgent  string
	CreatedAt  time.Time
	LastUsedAt time.Time // when it was started or last refreshed
	ExpiresAt  time.Time
	EndedAt    *time.Time
	EndReason  *string
}

func sessionInfoFrom(row dbgen.Session) SessionInfo {
	info := SessionInfo{
		ID: row.ID, UserAgent: row.UserAgent, CreatedAt: row.CreatedAt, LastUsedAt: row.LastUsedAt, ExpiresAt: row.ExpiresAt,
		EndedAt: row.EndedAt, EndReason: row.EndReason,
	}
	if row.IP != nil {
		info.IP = *row.IP
	}
	return info
}

// Sessions lists a user's sessions that are alive, before an id (uuid.Max for
// all), newest first; more says that there are older ones.
func (s *Service) Sessions(ctx context.Context, userID, before uuid.UUID, limit int) (page []SessionInfo, more bool, err error) {
	rows, err := s.q.SessionList(ctx, s.pool, dbgen.SessionListParams{UserID: userID, Before: before, Now: s.clock(), PageSize: int32(limit) + 1}) //nolint:gosec // at most 200
	if err != nil {
		return nil, false, pgdb.Classify(err)
	}
	rows, more = cut(rows, limit)
	for _, row := range rows {
		page = append(page, sessionInfoFrom(row))
	}
	return page, more, nil
}

// cut takes off the row that was read only to see whether there is more.
func cut[T any](rows []T, limit int) (page []T, more bool) {
	if len(rows) > limit {
		return rows[:limit], true
	}
	return rows, false
}

// CleanAgent keeps of a User-Agent what can be stored and shown.
func CleanAgent(agent string) string {
	agent = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(agent, ""))
	if runes := []rune(agent); len(runes) > 300 {
		agent = string(runes[:300])
	}
	return agent
}
