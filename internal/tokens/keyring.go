package tokens

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// The states of a key, in their order.
const (
	StateNext    = "next"    // published, so that others know it before it signs
	StateActive  = "active"  // signs
	StateRetired = "retired" // verifies what it signed
)

const (
	// staleAfter is how long keys in memory are used unseen, and so how long
	// other replicas go on accepting a key that was removed.
	staleAfter = 30 * time.Second
	// retryAfter bounds how often unknown key ids, or a database that does not
	// answer, make the keyring look again.
	retryAfter = 5 * time.Second
	// reloadTimeout bounds how long requests wait for that.
	reloadTimeout = 3 * time.Second
)

// keyring is the signing keys in memory. Replicas need no word from each other:
// each reads the keys again in time.
type keyring struct {
	pool      *pgxpool.Pool
	q         *dbgen.Queries
	sealer    *Sealer
	algorithm string
	now       func() time.Time

	ring atomic.Pointer[ring]

	reloading sync.Mutex // one at a time; the others then find what it read
	tried     time.Time
	failed    error // of the last try
}

// ring is the keys as they were at one time. It does not change.
type ring struct {
	readAt time.Time
	byKid  map[string]*key
	active *key
	public []JWK
}

// current returns the keys, read anew where those in memory are stale. When
// that fails, those in memory are better than none.
func (k *keyring) current(ctx context.Context) *ring {
	if !k.stale() {
		return k.ring.Load()
	}
	k.reloading.Lock()
	defer k.reloading.Unlock()
	return k.renewed(ctx)
}

// signing returns the key that signs. Who issues a token may hold a connection
// that a reload under way is waiting for, and so must not wait for the reload.
func (k *keyring) signing() *key {
	if !k.stale() || !k.reloading.TryLock() {
		return k.ring.Load().active
	}
	defer k.reloading.Unlock()
	return k.renewed(context.Background()).active
}

func (k *keyring) stale() bool { return k.now().Sub(k.ring.Load().readAt) >= staleAfter }

// renewed is for the one that holds reloading.
func (k *keyring) renewed(ctx context.Context) *ring {
	if k.stale() {
		k.retry(ctx)
	}
	return k.ring.Load()
}

// find returns the key that a token names, or nil. Another replica may have
// made it after this one read the keys.
func (k *keyring) find(ctx context.Context, kid string) (*key, error) {
	if key := k.current(ctx).byKid[kid]; key != nil {
		return key, nil
	}
	k.reloading.Lock()
	defer k.reloading.Unlock()
	if key := k.ring.Load().byKid[kid]; key != nil {
		return key, nil
	}
	k.retry(ctx)
	if key := k.ring.Load().byKid[kid]; key != nil {
		return key, nil
	}
	// Where the keys could not be read, the token may be good.
	return nil, k.failed
}

// retry reloads unless that was done a moment ago. The caller holds reloading.
func (k *keyring) retry(ctx context.Context) {
	if k.now().Sub(k.tried) <= retryAfter {
		return
	}
	// Others use what is read, even if this caller hangs up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reloadTimeout)
	defer cancel()
	_ = k.load(ctx) // find asks for k.failed; the others have keys that will do.
}

// reload reads the keys whatever their age.
func (k *keyring) reload(ctx context.Context) error {
	k.reloading.Lock()
	defer k.reloading.Unlock()
	return k.load(ctx)
}

// load reads the keys, and makes the first one of the algorithm where there is
// none. The caller holds reloading.
func (k *keyring) load(ctx context.Context) error {
	k.tried = k.now()
	r, err := k.read(ctx)
	if err == nil && r.active == nil {
		if err = k.begin(ctx); err == nil {
			r, err = k.read(ctx)
		}
	}
	if err == nil && r.active == nil {
		// A replica that is set to another algorithm retired it again.
		err = pgdb.Classify(errors.New("no active signing key of the algorithm"))
	}
	if k.failed = err; err == nil {
		k.ring.Store(r)
	}
	return err
}

func (k *keyring) read(ctx context.Context) (*ring, error) {
	r := &ring{readAt: k.now(), byKid: map[string]*key{}, public: []JWK{}}
	rows, err := k.q.SigningKeyList(ctx, k.pool)
	if err != nil {
		return nil, pgdb.Classify(fmt.Errorf("reading the signing keys: %w", err))
	}
	before := k.ring.Load()
	for _, row := range rows {
		key, err := k.unsealed(before, row)
		if err != nil {
			return nil, fmt.Errorf("signing key %s: %w", row.Kid, err)
		}
		r.byKid[row.Kid] = key
		if key.jwk != nil {
			r.public = append(r.public, *key.jwk)
		}
		if row.State == StateActive && row.Algorithm == k.algorithm {
			r.active = key
		}
	}
	return r, nil
}

// unsealed returns a stored key. A kid stands for one key for ever, so that
// none is decoded twice, which takes a millisecond with RSA.
func (k *keyring) unsealed(before *ring, row dbgen.SigningKey) (*key, error) {
	if before != nil && before.byKid[row.Kid] != nil {
		return before.byKid[row.Kid], nil
	}
	stored, err := k.sealer.Open(row.PrivateKeyEnc, row.Kid)
	if err != nil {
		return nil, err
	}
	return restore(row.Algorithm, stored)
}

// begin makes a key that signs at once. Replicas that do so together agree: the
// database takes one.
func (k *keyring) begin(ctx context.Context) error {
	return pgdb.InTx(ctx, k.pool, func(tx pgx.Tx) error {
		if err := k.q.SigningKeyLock(ctx, tx); err != nil {
			return fmt.Errorf("waiting for a rotation: %w", err)
		}
		_, err := k.insertActive(ctx, tx)
		return err
	})
}

func (k *keyring) insertActive(ctx context.Context, tx pgx.Tx) (kid string, err error) {
	made, sealed, err := k.sealed()
	if err != nil {
		return "", err
	}
	_, err = k.q.SigningKeyInsertActive(ctx, tx, dbgen.SigningKeyInsertActiveParams{
		Kid: made.kid, Algorithm: k.algorithm, PrivateKeyEnc: sealed, Now: k.clock(),
	})
	if err != nil {
		return "", fmt.Errorf("storing a signing key: %w", err)
	}
	return made.kid, nil
}

func (k *keyring) insertNext(ctx context.Context, tx pgx.Tx) (kid string, err error) {
	made, sealed, err := k.sealed()
	if err != nil {
		return "", err
	}
	_, err = k.q.SigningKeyInsertNext(ctx, tx, dbgen.SigningKeyInsertNextParams{
		Kid: made.kid, Algorithm: k.algorithm, PrivateKeyEnc: sealed, Now: k.clock(),
	})
	if err != nil {
		return "", fmt.Errorf("storing a signing key: %w", err)
	}
	return made.kid, nil
}

// sealed makes a key, and what to store of it.
func (k *keyring) sealed() (*key, []byte, error) {
	made, stored, err := generate(k.algorithm)
	if err != nil {
		return nil, nil, err
	}
	return made, k.sealer.Seal(stored, made.kid), nil
}

// clock tells the time as PostgreSQL keeps it, in microseconds.
func (k *keyring) clock() time.Time { return k.now().UTC().Truncate(time.Microsecond) }
