package tokens

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

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
	b.clock.advance(reloadAfter)
	_, err = b.Verify(t.Context(), token)
	require.ErrorIs(t, err, ErrInvalid)
	b.clock.advance(1)
	_, err = b.Verify(t.Context(), token)
	require.NoError(t, err)
	require.Len(t, b.JWKS(), 2)
}

// Without the database, tokens are not called invalid that may be good.
func TestKeyring_DatabaseGone(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	known, unknown := issue(t, b.Service), issue(t, b.replica(t, "ES256"))
	b.db.Pool.Close()

	_, err := b.Verify(t.Context(), unknown)
	require.ErrorIs(t, err, ErrInvalid, "just read the keys, so that no query is needed")
	b.clock.advance(reloadAfter + time.Second)
	_, err = b.Verify(t.Context(), unknown)
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrInvalid)
	_, err = b.Verify(t.Context(), known)
	require.NoError(t, err)
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
