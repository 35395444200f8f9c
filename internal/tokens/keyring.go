package tokens

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// reloadAfter bounds how often unknown key ids make the keyring look again, so
// that made-up tokens cost no queries.
const reloadAfter = 5 * time.Second

// keyring is the signing keys in memory.
type keyring struct {
	pool      *pgxpool.Pool
	q         *dbgen.Queries
	sealer    *Sealer
	algorithm string
	now       func() time.Time

	mu     sync.RWMutex
	byKid  map[string]*key
	active *key
	public []JWK

	reloading sync.Mutex // one at a time; the others then find what it read
	tried     time.Time
}

// openKeyring reads the keys, and makes the first of its algorithm where there
// is none. Replicas that do so together agree: the database takes one.
func openKeyring(ctx context.Context, k *keyring) (*keyring, error) {
	k.tried = k.now()
	if err := k.load(ctx); err != nil || k.active != nil {
		return k, err
	}
	made, stored, err := generate(k.algorithm)
	if err != nil {
		return nil, err
	}
	_, err = k.q.SigningKeyInsertActive(ctx, k.pool, dbgen.SigningKeyInsertActiveParams{
		Kid: made.kid, Algorithm: k.algorithm, PrivateKeyEnc: k.sealer.seal(stored, made.kid), Now: k.now(),
	})
	if err != nil {
		return nil, fmt.Errorf("storing a signing key: %w", err)
	}
	return k, k.load(ctx)
}

func (k *keyring) load(ctx context.Context) error {
	rows, err := k.q.SigningKeyList(ctx, k.pool)
	if err != nil {
		return pgdb.Classify(fmt.Errorf("reading the signing keys: %w", err))
	}
	byKid := make(map[string]*key, len(rows))
	public := []JWK{}
	var active *key
	for _, row := range rows {
		stored, err := k.sealer.open(row.PrivateKeyEnc, row.Kid)
		if err != nil {
			return fmt.Errorf("signing key %s: %w", row.Kid, err)
		}
		key, err := restore(row.Algorithm, stored)
		if err != nil {
			return fmt.Errorf("signing key %s: %w", row.Kid, err)
		}
		byKid[row.Kid] = key
		if key.jwk != nil {
			public = append(public, *key.jwk)
		}
		if row.State == "active" && row.Algorithm == k.algorithm {
			active = key
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.byKid, k.active, k.public = byKid, active, public
	return nil
}

// find returns the key that a token names, or nil. Another replica may have
// made it after this one read the keys.
func (k *keyring) find(ctx context.Context, kid string) (*key, error) {
	if key := k.known(kid); key != nil {
		return key, nil
	}
	k.reloading.Lock()
	defer k.reloading.Unlock()
	if now := k.now(); now.Sub(k.tried) > reloadAfter {
		k.tried = now
		if err := k.load(ctx); err != nil {
			return nil, err
		}
	}
	return k.known(kid), nil
}

func (k *keyring) known(kid string) *key {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.byKid[kid]
}

func (k *keyring) signing() *key {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.active
}

func (k *keyring) jwks() []JWK {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.public
}
