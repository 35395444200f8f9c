package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"

	"github.com/authservice/authservice/internal/apperr"
)

// Lengths of a password, in characters (NIST SP 800-63B, section 3.1.1.2, asks
// for at least 8 and to allow at least 64).
const (
	minPassword = 8
	maxPassword = 256
)

// hashScheme begins every stored hash: what stands behind it is
// "<pepper id>$<bcrypt>", the bcrypt hash of the pre-hashed password.
const hashScheme = "$hmac-sha256-bcrypt$"

// maxWaiting bounds the logins that wait for a CPU; those beyond are told to
// come back, so that a flood of them cannot take the memory or the patience of
// everybody else.
const maxWaiting = 128

var errTooManyWaiting = errors.New("too many passwords wait to be hashed")

// hasher hashes passwords on a bounded number of CPUs.
//
// bcrypt ends at 72 bytes and at a NUL, so it is given a keyed pre-hash in
// base64, which depends on every byte of the password.
type hasher struct {
	cost     int
	pepper   []byte
	pepperID string
	slots    chan struct{}
	waiting  atomic.Int64
}

func newHasher(cost int, pepper []byte) *hasher {
	h := &hasher{cost: cost, pepper: pepper, pepperID: "0", slots: make(chan struct{}, runtime.GOMAXPROCS(0))}
	if len(pepper) > 0 {
		sum := sha256.Sum256(append([]byte("authservice pepper id\n"), pepper...))
		h.pepperID = hex.EncodeToString(sum[:4])
	}
	return h
}

func checkPassword(password string) error {
	switch n := utf8.RuneCountInString(password); {
	case n < minPassword:
		return apperr.InvalidField("/password", fmt.Sprintf("must have at least %d characters", minPassword))
	case n > maxPassword:
		return apperr.InvalidField("/password", fmt.Sprintf("must have at most %d characters", maxPassword))
	}
	return nil
}

// hash returns what to store of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	var hashed []byte
	err := h.run(ctx, func() (err error) {
		hashed, err = bcrypt.GenerateFromPassword(h.prehash(password), h.cost)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("hashing a password: %w", err)
	}
	return hashScheme + h.pepperID + "$" + string(hashed), nil
}

// verify reports whether password is the one that was stored. It takes the
// same time where nothing is stored, so that the time tells nothing.
func (h *hasher) verify(ctx context.Context, stored *string, password string) (bool, error) {
	hashed, known := h.bcryptOf(stored)
	var match bool
	err := h.run(ctx, func() error {
		match = bcrypt.CompareHashAndPassword([]byte(hashed), h.prehash(password)) == nil
		return nil
	})
	return match && known, err
}

// bcryptOf returns the bcrypt part of a stored hash, or that of nobody.
func (h *hasher) bcryptOf(stored *string) (hashed string, known bool) {
	if stored != nil {
		if hashed, known = strings.CutPrefix(*stored, hashScheme+h.pepperID+"$"); known {
			return hashed, true
		}
	}
	// A well-formed hash with the usual cost that no password is known to match.
	return fmt.Sprintf("$2a$%02d$%s", h.cost, strings.Repeat(".", 53)), false
}

func (h *hasher) prehash(password string) []byte {
	key := h.pepper
	if len(key) == 0 {
		key = []byte("authservice password")
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(password))
	return base64.RawStdEncoding.AppendEncode(nil, mac.Sum(nil))
}

func (h *hasher) run(ctx context.Context, f func() error) error {
	if h.waiting.Add(1) > maxWaiting {
		h.waiting.Add(-1)
		return apperr.UnavailableBecause(errTooManyWaiting)
	}
	select {
	case h.slots <- struct{}{}:
		h.waiting.Add(-1)
	case <-ctx.Done():
		h.waiting.Add(-1)
		return apperr.UnavailableBecause(ctx.Err())
	}
	defer func() { <-h.slots }()
	return f()
}
