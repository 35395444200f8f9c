package tokens

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// A key is made as next, becomes active once everybody can know it, is retired
// by its successor, and is deleted when nothing that it signed can be valid.
// A next key is made only where a rotation is wanted, be it due or asked for,
// so that its existence is all there is to remember of that.

// JWKSMaxAge is how long others may keep the published keys.
const JWKSMaxAge = 5 * time.Minute

// Publication is how long a key is published before it signs: twice as long as
// others keep what they read of us, and until every replica has read it.
const Publication = 2*JWKSMaxAge + staleAfter

// retiredMargin is how much longer a retired key is kept than its tokens last,
// for replicas that learnt late that it was retired.
const retiredMargin = time.Hour

// Rotation is what one call changed.
type Rotation struct {
	Algorithm string
	Made      string   // the kid that will sign next, from Publication later
	Activated string   // the kid that signs from now on
	Retired   []string // kids that sign no more, but still verify
	Revoked   []string // kids that are not accepted any more, though their tokens have not expired
	Deleted   []string // retired kids whose last token has expired
}

// Changed reports whether there was anything to do.
func (r Rotation) Changed() bool {
	return r.Made != "" || r.Activated != "" || len(r.Retired)+len(r.Revoked)+len(r.Deleted) > 0
}

// KeyInfo is what may be told of a key.
type KeyInfo struct {
	KeyID       string
	Algorithm   string
	State       string // StateNext, StateActive or StateRetired
	CreatedAt   time.Time
	ActivatedAt *time.Time
	RetiredAt   *time.Time
}

// Keys lists all keys, oldest first.
func (s *Service) Keys(ctx context.Context) ([]KeyInfo, error) {
	rows, err := s.keys.q.SigningKeyList(ctx, s.keys.pool)
	if err != nil {
		return nil, pgdb.Classify(fmt.Errorf("reading the signing keys: %w", err))
	}
	keys := make([]KeyInfo, len(rows))
	for i, row := range rows {
		keys[i] = KeyInfo{
			KeyID: row.Kid, Algorithm: row.Algorithm, State: row.State,
			CreatedAt: row.CreatedAt, ActivatedAt: row.ActivatedAt, RetiredAt: row.RetiredAt,
		}
	}
	return keys, nil
}

// Rotate asks for a new key. RotateIfDue puts it to use once it has been
// published for Publication. Asking twice changes nothing.
//
// With now, for keys that may have leaked, a new key signs at once and every
// other is removed. No replica accepts one later than 30 seconds after; others
// that verify tokens may until their copy of the JWKS is older than JWKSMaxAge.
// Nobody is logged out: access tokens have to be refreshed, and refresh tokens
// are not signed.
func (s *Service) Rotate(ctx context.Context, now bool) (Rotation, error) {
	if now {
		return s.rotation(ctx, s.replaceAll)
	}
	return s.rotation(ctx, s.prepare)
}

// RotateIfDue does what is due of a rotation. It is to be called every few
// minutes to an hour; several calls at a time do no more than one.
func (s *Service) RotateIfDue(ctx context.Context) (Rotation, error) {
	// Requests do without a reload that fails, but somebody has to hear of it.
	if err := s.keys.reload(ctx); err != nil {
		return Rotation{}, err
	}
	return s.rotation(ctx, s.advance)
}

// rotation takes a step in a transaction in which no other rotation happens.
func (s *Service) rotation(ctx context.Context, step func(context.Context, pgx.Tx, *Rotation) error) (Rotation, error) {
	var r Rotation
	err := pgdb.InTx(ctx, s.keys.pool, func(tx pgx.Tx) error {
		if err := s.keys.q.SigningKeyLock(ctx, tx); err != nil {
			return fmt.Errorf("waiting for another rotation: %w", err)
		}
		r = Rotation{Algorithm: s.o.Algorithm}
		if err := step(ctx, tx, &r); err != nil {
			return err
		}
		if s.o.Rotated == nil || !r.Changed() {
			return nil
		}
		return s.o.Rotated(ctx, tx, r)
	})
	if err != nil {
		return Rotation{}, err
	}
	if r.Changed() {
		_ = s.keys.reload(ctx) // It is done. Where this fails, the keys are read when they are stale.
	}
	return r, nil
}

func (s *Service) prepare(ctx context.Context, tx pgx.Tx, r *Rotation) error {
	_, next, err := s.pair(ctx, tx)
	if err != nil || next != nil {
		return err
	}
	r.Made, err = s.keys.insertNext(ctx, tx)
	return err
}

// replaceAll spares no key: who could read one could read the others.
func (s *Service) replaceAll(ctx context.Context, tx pgx.Tx, r *Rotation) (err error) {
	if r.Revoked, err = s.keys.q.SigningKeyDeleteAll(ctx, tx); err != nil {
		return fmt.Errorf("removing the signing keys: %w", err)
	}
	r.Activated, err = s.keys.insertActive(ctx, tx)
	return err
}

func (s *Service) advance(ctx context.Context, tx pgx.Tx, r *Rotation) error {
	now := s.keys.clock()
	active, next, err := s.pair(ctx, tx)
	switch {
	case err != nil:
		return err
	case next != nil:
		if now.Sub(next.CreatedAt) >= Publication {
			err = s.succeed(ctx, tx, now, r)
		}
	case active != nil && now.Sub(*active.ActivatedAt) >= s.o.RotationInterval-Publication:
		r.Made, err = s.keys.insertNext(ctx, tx)
	}
	if err != nil {
		return err
	}
	return s.tidy(ctx, tx, now, r)
}

// succeed puts the next key in the place of the active one.
func (s *Service) succeed(ctx context.Context, tx pgx.Tx, now time.Time, r *Rotation) (err error) {
	r.Retired, err = s.keys.q.SigningKeyRetireActive(ctx, tx, dbgen.SigningKeyRetireActiveParams{Algorithm: s.o.Algorithm, Now: &now})
	if err != nil {
		return fmt.Errorf("retiring a signing key: %w", err)
	}
	activated, err := s.keys.q.SigningKeyActivateNext(ctx, tx, dbgen.SigningKeyActivateNextParams{Algorithm: s.o.Algorithm, Now: &now})
	if err != nil {
		return fmt.Errorf("activating a signing key: %w", err)
	}
	r.Activated = activated[0] // signing_keys_next_key: the one that was seen under the lock
	return nil
}

// tidy retires what another algorithm left, and deletes what has had its time.
func (s *Service) tidy(ctx context.Context, tx pgx.Tx, now time.Time, r *Rotation) error {
	others, err := s.keys.q.SigningKeyRetireOthers(ctx, tx, dbgen.SigningKeyRetireOthersParams{Algorithm: s.o.Algorithm, Now: &now})
	if err != nil {
		return fmt.Errorf("retiring the keys of other algorithms: %w", err)
	}
	r.Retired = append(r.Retired, others...)
	before := now.Add(-s.o.TTL - retiredMargin)
	if r.Deleted, err = s.keys.q.SigningKeyDeleteRetired(ctx, tx, &before); err != nil {
		return fmt.Errorf("deleting retired signing keys: %w", err)
	}
	return nil
}

// pair returns the keys of the algorithm that sign and that will, nil where there is none.
func (s *Service) pair(ctx context.Context, tx pgx.Tx) (active, next *dbgen.SigningKey, err error) {
	rows, err := s.keys.q.SigningKeyList(ctx, tx)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the signing keys: %w", err)
	}
	for i, row := range rows {
		switch {
		case row.Algorithm != s.o.Algorithm:
		case row.State == StateActive:
			active = &rows[i]
		case row.State == StateNext:
			next = &rows[i]
		}
	}
	return active, next, nil
}
