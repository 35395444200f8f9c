package bcryptworker

import (
	"fmt"
	"strings"
)

// Work is what to do with a password; what is empty is left out.
type Work struct {
	Password []byte // at most 72 bytes, of which none is 0
	Hash     []byte // to compare the password with
	Cost     int    // of a hash to make of the password, 4 to 31
	Idle     []int  // costs of comparisons to take the time of
}

// Result is what came of it.
type Result struct {
	Match bool   // the password is the one that was hashed
	Hash  []byte // of the password
}

// Do does the work, here and now. It needs 50 µs × 2^cost of a processor, and
// offers it to others in between.
func (w Work) Do() (r Result, err error) {
	if w.Hash != nil {
		r.Match = matches(w.Hash, w.Password)
	}
	if w.Cost != 0 {
		r.Hash, err = hash(w.Password, w.Cost)
	}
	for _, cost := range w.Idle {
		// A well-formed hash that no password is known to match.
		matches(fmt.Appendf(nil, "$2a$%02d$%s", cost, strings.Repeat(".", 53)), nil)
	}
	return r, err
}
