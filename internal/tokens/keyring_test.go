package tokens

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgtest"
)

func TestKeyring_ReplicasAgree(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"EdDSA", "HS256"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			b := &bundle{db: pgtest.New(t), clock: &clock{at: start}}
			replicas, errs := make([]*Service, 8), make([]error, 8)
			var wg sync.WaitGroup
			for i := range replicas {
				wg.Go(func() { replicas[i], errs[i] = b.open(t, algorithm, encryptionKey) })
			}
			wg.Wait()
			require.NoError(t, errors.Join(errs...))

			require.Equal(t, 1, b.keyCount(t))
			for _, by := range replicas {
				token := issue(t, by)
				for _, other := range replicas {
					got, err := other.Verify(t.Context(), token)
					require.NoError(t, err)
					require.Empty(t, cmp.Diff(subject, got))
				}
			}
		})
	}
}

func (b *bundle) keyCount(t *testing.T) (n int) {
	t.Helper()
	require.NoError(t, b.db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM signing_keys").Scan(&n))
	return n
}

func TestKeyring_SurvivesARestart(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	token := issue(t, b.Service)
	restarted := b.replica(t, "EdDSA")
	_, err := restarted.Verify(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, b.JWKS(), restarted.JWKS())
	require.Equal(t, 1, b.keyCount(t))
}

func TestKeyring_OtherAlgorithm(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	old := issue(t, b.Service)
	changed := b.replica(t, "ES256")

	require.Len(t, changed.JWKS(), 2)
	_, err := changed.Verify(t.Context(), old)
	require.NoError(t, err, "tokens outlive a change of the algorithm")
	require.Equal(t, "ES256", header(t, issue(t, changed))["alg"])

	back := b.replica(t, "EdDSA")
	require.Equal(t, header(t, old)["kid"], header(t, issue(t, back))["kid"])
	require.Equal(t, 2, b.keyCount(t))
}

// A replica finds the keys that others made after it started, but made-up key
// ids cost a query only now and then.
func TestKeyring_Reload(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	token := issue(t, b.replica(t, "ES256"))

	_, err := b.Verify(t.Context(), token)
	require.ErrorIs(t, err, ErrInvalid)
	b.clock.advance(retryAfter)
	_, err = b.Verify(t.Context(), token)
	require.ErrorIs(t, err, ErrInvalid)
	b.clock.advance(1)
	_, err = b.Verify(t.Context(), token)
	require.NoError(t, err)
	require.Len(t, b.JWKS(), 2)
}

// Without the database, what is known serves on, and tokens are not called
// invalid that may be good.
func TestKeyring_DatabaseGone(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	known, unknown := issue(t, b.Service), issue(t, b.replica(t, "ES256"))
	b.db.Pool.Close()

	_, err := b.Verify(t.Context(), unknown)
	require.ErrorIs(t, err, ErrInvalid, "just read the keys, so that no query is needed")
	b.clock.advance(retryAfter + 1)
	for range 2 { // the second finds that the first has tried
		_, err = b.Verify(t.Context(), unknown)
		require.Error(t, err)
		require.NotErrorIs(t, err, ErrInvalid)
	}
	b.clock.advance(staleAfter)
	_, err = b.Verify(t.Context(), known)
	require.NoError(t, err)
	_, err = b.Verify(t.Context(), issue(t, b.Service))
	require.NoError(t, err)
	require.Len(t, b.JWKS(), 1)

	_, err = b.RotateIfDue(t.Context())
	require.Error(t, err, "but somebody hears of it")
}

// Whatever a replica is asked for, it reads the keys again when they are stale,
// and no sooner.
func TestKeyring_Stale(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(t *testing.T, s *Service, token string){
		"Issue": func(t *testing.T, s *Service, _ string) { t.Helper(); issue(t, s) },
		"JWKS":  func(_ *testing.T, s *Service, _ string) { s.JWKS() },
		"Verify": func(t *testing.T, s *Service, token string) {
			t.Helper()
			_, err := s.Verify(t.Context(), token)
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, "EdDSA")
			b.replica(t, "ES256")
			token := issue(t, b.Service)

			b.clock.advance(staleAfter - 1)
			use(t, b.Service, token)
			require.Len(t, b.keys.ring.Load().byKid, 1)
			b.clock.advance(1)
			use(t, b.Service, token)
			require.Len(t, b.keys.ring.Load().byKid, 2)
		})
	}
}

// A caller that hangs up does not spoil the reload for the others, and one that
// issues does not wait for a reload under way.
func TestKeyring_ReloadIsForAll(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	b.replica(t, "ES256")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.clock.advance(staleAfter)

	b.keys.reloading.Lock()
	issue(t, b.Service)
	b.keys.reloading.Unlock()
	require.Len(t, b.keys.ring.Load().byKid, 1)

	require.Len(t, b.keys.current(ctx).byKid, 2)
}

func TestKeyring_WrongEncryptionKey(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	for _, algorithm := range []string{"EdDSA", "ES256"} {
		_, err := b.open(t, algorithm, bytes.Repeat([]byte{2}, 32))
		require.ErrorIs(t, err, ErrWrongKey)
	}
	require.Equal(t, 1, b.keyCount(t), "nothing is stored under a wrong key")
}

func TestKeyring_MovedCiphertext(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	b.replica(t, "ES256")
	_, err := b.db.Pool.Exec(t.Context(), "UPDATE signing_keys k SET private_key_enc = (SELECT private_key_enc FROM signing_keys o WHERE o.kid <> k.kid)")
	require.NoError(t, err)
	_, err = b.open(t, "EdDSA", encryptionKey)
	require.ErrorIs(t, err, ErrWrongKey)
}
