package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/authservice/authservice/internal/bcryptworker"
)

// hashScheme begins every hash that is made here: what stands behind it is
// "<pepper id>$<bcrypt>", the bcrypt hash of the pre-hashed password. A stored
// hash without it is plain bcrypt, imported with a user from elsewhere.
const hashScheme = "$hmac-sha256-bcrypt$"

// Limits of what verifies.
const (
	// maxCost is the highest cost of a stored hash. One of the highest that
	// bcrypt knows would keep a CPU busy for days.
	maxCost = 18
	// maxPlain is the most bytes of a password that plain bcrypt tells from
	// others: it reads 72, and who wrote the hash may have cut what came behind.
	maxPlain = 71
)

var bcryptHash = regexp.MustCompile(`^\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}$`)

// PasswordOptions say how passwords are kept.
type PasswordOptions struct {
	Cost            int      // of new bcrypt hashes, 4 to 18
	Pepper          []byte   // keys the pre-hash of new hashes; empty for none
	PreviousPeppers [][]byte // with which older hashes still verify
	Slots           int      // passwords that are hashed at the same time; 0: GOMAXPROCS
	Queue           int      // passwords that wait for it; 0: 32

	// Work is who hashes; nil for this process.
	Work func(bcryptworker.Work) (bcryptworker.Result, error)
}

// hasher hashes passwords and verifies them.
//
// bcrypt ends at 72 bytes and at a NUL, so it is given a keyed pre-hash in
// base64, which depends on every byte of the password.
type hasher struct {
	cost    int
	pepper  // of new hashes
	peppers map[string]pepper
	pool    *hashPool
}

// verdict is what comparing a password with a stored hash shows.
type verdict struct {
	match    bool
	outdated bool // it matches, but is not what hash would make of it today
}

func newHasher(o PasswordOptions) *hasher {
	h := &hasher{cost: o.Cost, pepper: o.Pepper, peppers: map[string]pepper{}, pool: newHashPool(o.Slots, o.Queue, o.Work)}
	// Hashes from before there was a pepper keep verifying.
	for _, p := range append([][]byte{nil, o.Pepper}, o.PreviousPeppers...) {
		h.peppers[pepper(p).id()] = p
	}
	return h
}

// hash returns what to store of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	r, err := h.pool.do(ctx, bcryptworker.Work{Password: h.prehash(password), Cost: h.cost})
	if err != nil {
		return "", fmt.Errorf("hashing a password: %w", err)
	}
	return hashScheme + h.id() + "$" + string(r.Hash), nil
}

// verify compares a password with what is stored of one.
//
// It takes as long as a comparison at the current cost whatever is stored, also
// nothing, so that the time does not tell who has an account. Only a hash of a
// higher cost takes longer, until the next login replaces it.
//
// A password that plain bcrypt might confuse with another never matches: who
// brought one of 72 bytes or more, or with a NUL, has to set it anew.
func (h *hasher) verify(ctx context.Context, stored *string, password string) (verdict, error) {
	if stored == nil {
		return verdict{}, h.dummy(ctx)
	}
	s, ok := h.parse(*stored)
	if !ok || s.plain && (len(password) > maxPlain || strings.Contains(password, "\x00")) {
		return verdict{}, h.dummy(ctx)
	}
	key := []byte(password)
	if !s.plain {
		key = s.pepper.prehash(password)
	}
	r, err := h.pool.do(ctx, bcryptworker.Work{Password: key, Hash: s.bcrypt, Idle: costsBetween(s.cost, h.cost)})
	current := !s.plain && s.pepper.id() == h.id() && s.cost == h.cost
	return verdict{match: r.Match, outdated: r.Match && !current}, err
}

// dummy takes as long as verify, for where there is nothing to compare.
func (h *hasher) dummy(ctx context.Context) error {
	_, err := h.pool.do(ctx, bcryptworker.Work{Idle: []int{h.cost}})
	return err
}

// storedHash is what a stored hash says of itself.
type storedHash struct {
	bcrypt []byte
	cost   int
	plain  bool   // of the password itself
	pepper pepper // of the pre-hash, unless plain
}

// parse reads a stored hash, if it is one that can be verified.
func (h *hasher) parse(stored string) (s storedHash, ok bool) {
	own, found := strings.CutPrefix(stored, hashScheme)
	s.plain = !found
	if found {
		var id string
		id, stored, _ = strings.Cut(own, "$")
		if s.pepper, ok = h.peppers[id]; !ok {
			return storedHash{}, false
		}
	}
	parts := bcryptHash.FindStringSubmatch(stored)
	if parts == nil {
		return storedHash{}, false
	}
	s.bcrypt = []byte(stored)
	s.cost, _ = strconv.Atoi(parts[1]) // two digits
	return s, s.cost >= bcrypt.MinCost && s.cost <= maxCost
}

// costsBetween returns the costs of the comparisons that, after one of cost
// low, make up for one of cost high: each step doubles the work, so that low is
// needed once more and then all between.
func costsBetween(low, high int) (costs []int) {
	for cost := low; cost < high; cost++ {
		costs = append(costs, cost)
	}
	return costs
}

// pepper keys the pre-hash of passwords, so that hashes are of no use to
// somebody who has the database alone.
type pepper []byte

// id is how a stored hash names its pepper: "0" for none.
func (p pepper) id() string {
	if len(p) == 0 {
		return "0"
	}
	sum := sha256.Sum256(append([]byte("authservice pepper id\n"), p...))
	return hex.EncodeToString(sum[:4])
}

func (p pepper) prehash(password string) []byte {
	key := []byte(p)
	if len(key) == 0 {
		key = []byte("authservice password")
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(password))
	return base64.RawStdEncoding.AppendEncode(nil, mac.Sum(nil))
}
