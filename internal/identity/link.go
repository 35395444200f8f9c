package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// purpose is what a mailed link is for. A user has at most one link a purpose.
type purpose string

const (
	toVerifyEmail purpose = "verify_email"
	toChangeEmail purpose = "change_email"
	toSetPassword purpose = "set_password"
)

// page is where a link leads to, and prefix tells people and secret scanners
// what its token is.
func (p purpose) page() (page, prefix string) {
	if p == toSetPassword {
		return "reset-password", "aset_"
	}
	return "verify-email", "avet_"
}

// linkToken is the token of a link. It is derived when the mail is rendered, so
// that no table, job or log ever holds it, and every copy of the mail has the
// same; without the service's key nobody can derive it.
func (s *Service) linkToken(id uuid.UUID, p purpose) string {
	mac := hmac.New(sha256.New, s.o.LinkKey)
	mac.Write([]byte(p))
	mac.Write(id[:])
	_, prefix := p.page()
	return prefix + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// link is what stands in the mail. Unless the operator wants it elsewhere, the
// token stands in the fragment, which browsers keep to themselves: it reaches no
// server's log and no Referer.
//
// To the invited the page says something else.
func (s *Service) link(id uuid.UUID, p purpose, invited bool) string {
	pattern := s.o.LinkPattern
	if invited {
		pattern = strings.Replace(pattern, "#token=", "#invited=1&token=", 1)
	}
	page, _ := p.page()
	return strings.NewReplacer("{page}", page, "{token}", s.linkToken(id, p)).Replace(pattern)
}

// newLink makes a link that proves an address of a user's, and the user's older
// one void. To be called under the user's lock.
func (s *Service) newLink(ctx context.Context, tx pgx.Tx, userID uuid.UUID, p purpose, email string, ttl time.Duration) (uuid.UUID, error) {
	now, id := s.clock(), uuid.Must(uuid.NewV7())
	err := s.q.OneTimeTokenUpsert(ctx, tx, dbgen.OneTimeTokenUpsertParams{
		ID: id, UserID: userID, Purpose: string(p), Email: email, TokenHash: hashToken(s.linkToken(id, p)), Now: now, ExpiresAt: now.Add(ttl),
	})
	if err != nil {
		return uuid.Nil, fmt.Errorf("storing the link: %w", err)
	}
	return id, nil
}

// voidLink makes a user's link void, if there is one.
func (s *Service) voidLink(ctx context.Context, tx pgx.Tx, userID uuid.UUID, p purpose) error {
	if err := s.q.OneTimeTokenDelete(ctx, tx, dbgen.OneTimeTokenDeleteParams{UserID: userID, Purpose: string(p)}); err != nil {
		return fmt.Errorf("voiding a link: %w", err)
	}
	return nil
}

// findLink returns the link that a token belongs to, without using it up.
// Errors: ErrInvalidToken.
func (s *Service) findLink(ctx context.Context, token string, purposes ...purpose) (dbgen.OneTimeToken, error) {
	row, err := s.q.OneTimeTokenGet(ctx, s.pool, dbgen.OneTimeTokenGetParams{TokenHash: hashToken(token), Now: s.clock()})
	if pgdb.NoRows(err) || err == nil && !slices.Contains(purposes, purpose(row.Purpose)) {
		return dbgen.OneTimeToken{}, ErrInvalidToken
	}
	return row, pgdb.Classify(err)
}

// redeem uses a link up, and returns its user under lock. A link goes to an
// address; it is void when that is not the user's any more (but for a new
// address, which is not yet). Errors: ErrInvalidToken.
func (s *Service) redeem(ctx context.Context, tx pgx.Tx, found dbgen.OneTimeToken) (dbgen.User, error) {
	user, err := s.q.UserLock(ctx, tx, found.UserID)
	if err != nil {
		return user, invalidOr(err)
	}
	row, err := s.q.OneTimeTokenRedeem(ctx, tx, dbgen.OneTimeTokenRedeemParams{TokenHash: found.TokenHash, Now: s.clock()})
	if err != nil {
		return user, invalidOr(err)
	}
	if purpose(row.Purpose) != toChangeEmail && row.Email != *user.Email {
		return user, ErrInvalidToken
	}
	return user, nil
}

func invalidOr(err error) error {
	if pgdb.NoRows(err) {
		return ErrInvalidToken
	}
	return fmt.Errorf("redeeming a link: %w", err)
}
