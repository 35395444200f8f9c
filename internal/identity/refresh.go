package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/mailer"
	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/tokens"
)

// refreshPrefix tells people and secret scanners what they have found.
const refreshPrefix = "art_"

func newRefreshToken() string {
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(tokens.NewSecret())
}

// successor is the token that follows token. It is derived, not drawn, so that
// a repeated exchange gives the same successor although only hashes are stored;
// without the service's key nobody can derive it.
func (s *Service) successor(token string) string {
	mac := hmac.New(sha256.New, s.o.RefreshKey)
	mac.Write([]byte(token))
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// hashToken is what is stored of a token. It has 256 random bits, so that a
// plain SHA-256 protects it.
func hashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// storeRefresh stores a session's newest refresh token and returns when it expires.
func (s *Service) storeRefresh(ctx context.Context, tx pgx.Tx, token string, sessionID uuid.UUID, sessionEnd time.Time) (time.Time, error) {
	now := s.clock()
	expires := now.Add(s.o.RefreshTokenTTL)
	if expires.After(sessionEnd) {
		expires = sessionEnd
	}
	err := s.q.RefreshTokenInsert(ctx, tx, dbgen.RefreshTokenInsertParams{TokenHash: hashToken(token), SessionID: sessionID, Now: now, ExpiresAt: expires})
	if err != nil {
		return time.Time{}, fmt.Errorf("storing the refresh token: %w", err)
	}
	return expires, nil
}

// Refresh exchanges a refresh token (RFC 9700, section 4.14.2). Errors:
// ErrInvalidRefresh; ErrRefreshReused when it was exchanged longer ago than the
// grace window, which ends the session; too many attempts.
func (s *Service) Refresh(ctx context.Context, token string, d Device) (Session, error) {
	if err := s.limitAddress(ctx, "refresh", d.IP, s.o.Limits.RefreshPerAddress); err != nil {
		return Session{}, err
	}
	var session Session
	var refusal error
	err := pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
		session, refusal, err = s.refreshInTx(ctx, tx, token, d)
		return err
	})
	if err == nil {
		err = refusal
	}
	return session, err
}

// refreshInTx returns what must be committed although it is refused apart from
// what must be rolled back.
func (s *Service) refreshInTx(ctx context.Context, tx pgx.Tx, token string, d Device) (_ Session, refusal, err error) {
	hash := hashToken(token)
	if _, err := s.q.RefreshTokenLock(ctx, tx, hash); pgdb.NoRows(err) {
		return Session{}, ErrInvalidRefresh, nil
	} else if err != nil {
		return Session{}, nil, fmt.Errorf("locking the session: %w", err)
	}
	row, err := s.q.RefreshTokenGet(ctx, tx, hash)
	if err != nil {
		return Session{}, nil, fmt.Errorf("reading the refresh token: %w", err)
	}

	now := s.clock()
	user := userFrom(row.User, now)
	next := s.successor(token)
	var expires time.Time
	switch {
	case row.SessionEndedAt != nil, !row.SessionExpiresAt.After(now), row.User.DeletedAt != nil, user.Status != StatusActive,
		row.RotatedAt == nil && !row.ExpiresAt.After(now):
		details := audit.Details{sessionDetail: row.SessionID}
		return Session{}, ErrInvalidRefresh, s.Audit.WriteAs(ctx, tx, audit.Anonymous, audit.SessionUseAfterExpire, audit.OnUser(row.User.ID), details)
	case row.RotatedAt == nil:
		expires, err = s.rotate(ctx, tx, row, hash, next, now)
	case now.Sub(*row.RotatedAt) <= s.o.RefreshGrace:
		expires, err = s.q.RefreshTokenExpiry(ctx, tx, hashToken(next))
	default:
		return Session{}, ErrRefreshReused, s.endReused(ctx, tx, row, now, d)
	}
	if err != nil {
		return Session{}, nil, fmt.Errorf("exchanging the refresh token: %w", err)
	}
	session, err := s.session(user, row.SessionID, next, expires.Sub(now))
	return session, nil, err
}

func (s *Service) rotate(ctx context.Context, tx pgx.Tx, row dbgen.RefreshTokenGetRow, hash []byte, next string, now time.Time) (time.Time, error) {
	if err := s.q.RefreshTokenRotated(ctx, tx, dbgen.RefreshTokenRotatedParams{TokenHash: hash, Now: &now}); err != nil {
		return time.Time{}, err
	}
	if err := s.q.SessionUsed(ctx, tx, dbgen.SessionUsedParams{ID: row.SessionID, Now: now}); err != nil {
		return time.Time{}, err
	}
	user, details := row.User.ID, audit.Details{sessionDetail: row.SessionID}
	if err := s.Audit.WriteAs(ctx, tx, audit.User(user), audit.SessionRenewed, audit.OnUser(user), details); err != nil {
		return time.Time{}, err
	}
	return s.storeRefresh(ctx, tx, next, row.SessionID, row.SessionExpiresAt)
}

// endReused ends a session of which a token was used twice: one of the two who
// used it is not its owner, and nobody can tell which.
func (s *Service) endReused(ctx context.Context, tx pgx.Tx, row dbgen.RefreshTokenGetRow, now time.Time, d Device) error {
	reason := endedByReuse
	if _, err := s.q.SessionEnd(ctx, tx, dbgen.SessionEndParams{ID: row.SessionID, UserID: row.User.ID, Now: &now, Reason: &reason}); err != nil {
		return fmt.Errorf("ending the session: %w", err)
	}
	details := audit.Details{sessionDetail: row.SessionID}
	if err := s.Audit.WriteAs(ctx, tx, audit.Anonymous, audit.RefreshTokenReuse, audit.OnUser(row.User.ID), details); err != nil {
		return err
	}
	if err := s.auditEnded(ctx, tx, audit.System, row.User.ID, reason, row.SessionID); err != nil {
		return err
	}
	return s.mail(ctx, tx, Mail{Template: mailer.RefreshReused, UserID: row.User.ID, Device: d})
}
