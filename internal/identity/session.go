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

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/tokens"
)

// Device is where a session is started from.
type Device struct {
	IP        netip.Addr
	UserAgent string
}

// Session is what a person gets who logs in.
type Session struct {
	AccessToken      string
	ExpiresIn        time.Duration
	RefreshToken     string
	RefreshExpiresIn time.Duration
	User             User
}

// startSession logs a user in.
func (s *Service) startSession(ctx context.Context, tx pgx.Tx, userID uuid.UUID, d Device) (Session, error) {
	now := s.clock()
	row, err := s.q.UserLoggedIn(ctx, tx, dbgen.UserLoggedInParams{ID: userID, Now: &now})
	if err != nil {
		return Session{}, fmt.Errorf("noting the login: %w", err)
	}
	id := uuid.Must(uuid.NewV7())
	end := now.Add(s.o.SessionTTL)
	insert := dbgen.SessionInsertParams{ID: id, UserID: userID, UserAgent: cleanAgent(d.UserAgent), Now: now, ExpiresAt: end}
	if d.IP.IsValid() {
		insert.IP = &d.IP
	}
	if err := s.q.SessionInsert(ctx, tx, insert); err != nil {
		return Session{}, fmt.Errorf("inserting the session: %w", err)
	}
	refresh := newRefreshToken()
	expires, err := s.storeRefresh(ctx, tx, refresh, id, end)
	if err != nil {
		return Session{}, err
	}
	return s.session(userFrom(row), id, refresh, expires.Sub(now))
}

// session puts the answer together, with a new access token.
func (s *Service) session(u User, id uuid.UUID, refresh string, refreshExpiresIn time.Duration) (Session, error) {
	access, err := s.tokens.Issue(tokens.Subject{UserID: u.ID, SessionID: id, Role: u.Role, Scopes: scopesOf(u.Role)})
	if err != nil {
		return Session{}, err
	}
	return Session{AccessToken: access, ExpiresIn: s.tokens.TTL(), RefreshToken: refresh, RefreshExpiresIn: refreshExpiresIn, User: u}, nil
}

// LogOut ends a session.
func (s *Service) LogOut(ctx context.Context, sessionID uuid.UUID) error {
	now, reason := s.clock(), "logout"
	return pgdb.Classify(s.q.SessionEnd(ctx, s.pool, dbgen.SessionEndParams{ID: sessionID, Now: &now, Reason: &reason}))
}

// cleanAgent keeps of a User-Agent what can be stored and shown.
func cleanAgent(agent string) string {
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
