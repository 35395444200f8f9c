package tokens

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// asked asks for a key and returns its kid.
func (b *bundle) asked(t *testing.T) string {
	t.Helper()
	b.clock.advance(time.Millisecond) // keys are in the order in which they were made
	r, err := b.Rotate(t.Context(), false)
	require.NoError(t, err)
	require.NotEmpty(t, r.Made)
	require.Empty(t, cmp.Diff(Rotation{Algorithm: b.o.Algorithm, Made: r.Made}, r))
	return r.Made
}

// tick does what is due and compares it with what is expected of it.
func (b *bundle) tick(t *testing.T, want Rotation) {
	t.Helper()
	got, err := b.RotateIfDue(t.Context())
	require.NoError(t, err)
	want.Algorithm = b.o.Algorithm
	require.Empty(t, cmp.Diff(want, got, cmpopts.EquateEmpty()))
}

// states are the states of all keys.
func (b *bundle) states(t *testing.T) map[string]string {
	t.Helper()
	keys, err := b.Keys(t.Context())
	require.NoError(t, err)
	states := map[string]string{}
	for _, k := range keys {
		states[k.KeyID] = k.State
	}
	return states
}

func published(s *Service) (kids []string) {
	for _, jwk := range s.JWKS() {
		kids = append(kids, jwk.Kid)
	}
	return kids
}

func kid(t *testing.T, s *Service) string {
	t.Helper()
	return header(t, issue(t, s))["kid"].(string)
}

func accepts(t *testing.T, s *Service, token string) {
	t.Helper()
	_, err := s.Verify(t.Context(), token)
	require.NoError(t, err)
}

func refuses(t *testing.T, s *Service, token string) {
	t.Helper()
	_, err := s.Verify(t.Context(), token)
	require.ErrorIs(t, err, ErrInvalid)
}

// A key's whole life, and at each of its stages: what signs, what is published,
// what is accepted, and that a restart changes nothing of it.
func TestTokens_RotateIfDue(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"EdDSA", "HS256"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			b := setup(t, algorithm)
			first := kid(t, b.Service)
			stage := func(signs string, want map[string]string, kids ...string) {
				t.Helper()
				require.Empty(t, cmp.Diff(want, b.states(t)))
				if algorithm == "HS256" {
					kids = nil
				}
				for _, s := range []*Service{b.Service, b.replica(t, algorithm)} {
					require.Equal(t, signs, kid(t, s))
					require.Equal(t, kids, published(s))
				}
			}
			stage(first, map[string]string{first: StateActive}, first)

			b.clock.advance(DefaultRotationInterval - Publication - time.Microsecond)
			b.tick(t, Rotation{})
			b.clock.advance(time.Microsecond)
			made, err := b.RotateIfDue(t.Context())
			require.NoError(t, err)
			second := made.Made
			require.NotEmpty(t, second)
			require.Empty(t, cmp.Diff(Rotation{Algorithm: algorithm, Made: second}, made, cmpopts.EquateEmpty()))
			stage(first, map[string]string{first: StateActive, second: StateNext}, first, second)

			b.clock.advance(Publication - time.Microsecond)
			b.tick(t, Rotation{})
			stage(first, map[string]string{first: StateActive, second: StateNext}, first, second)
			old := issue(t, b.Service)
			b.clock.advance(time.Microsecond)
			b.tick(t, Rotation{Activated: second, Retired: []string{first}})
			stage(second, map[string]string{first: StateRetired, second: StateActive}, first, second)

			b.clock.advance(ttl - 2*time.Second)
			accepts(t, b.Service, old)
			b.clock.advance(retiredMargin + 2*time.Second)
			b.tick(t, Rotation{})
			stage(second, map[string]string{first: StateRetired, second: StateActive}, first, second)
			b.clock.advance(time.Microsecond)
			b.tick(t, Rotation{Deleted: []string{first}})
			stage(second, map[string]string{second: StateActive}, second)
			b.tick(t, Rotation{})

			keys, err := b.Keys(t.Context())
			require.NoError(t, err)
			created := start.Truncate(time.Microsecond).Add(DefaultRotationInterval - Publication)
			activated := created.Add(Publication)
			require.Empty(t, cmp.Diff([]KeyInfo{{
				KeyID: second, Algorithm: algorithm, State: StateActive, CreatedAt: created, ActivatedAt: &activated,
			}}, keys))
		})
	}
}

// The interval is that of the options, and is counted from the activation.
func TestTokens_RotateIfDue_Interval(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	b.o.RotationInterval = 2 * time.Hour
	step := func(after time.Duration) Rotation {
		t.Helper()
		b.clock.advance(after)
		r, err := b.RotateIfDue(t.Context())
		require.NoError(t, err)
		return r
	}
	for range 3 {
		before := kid(t, b.Service)
		require.Empty(t, step(2*time.Hour-Publication-time.Microsecond).Made)
		made := step(time.Microsecond).Made
		require.NotEmpty(t, made)
		done := step(Publication)
		require.Equal(t, made, done.Activated)
		require.Equal(t, []string{before}, done.Retired)
	}
}

// A rotation that was asked for happens as soon as the key is known, however
// young the one before is; asking again changes nothing.
func TestTokens_Rotate(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	first := kid(t, b.Service)
	second := b.asked(t)
	again, err := b.Rotate(t.Context(), false)
	require.NoError(t, err)
	require.False(t, again.Changed())
	require.Equal(t, []string{first, second}, published(b.Service), "at once where it was asked for")

	b.tick(t, Rotation{})
	b.clock.advance(Publication)
	require.Equal(t, first, kid(t, b.Service), "not before the tick")
	b.tick(t, Rotation{Activated: second, Retired: []string{first}})
	require.Equal(t, second, kid(t, b.Service))
	b.tick(t, Rotation{})
}

// Other replicas follow without being told: they know the next key before it
// signs, accept it at once, and sign with it themselves within staleAfter.
func TestTokens_Rotate_Replicas(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	other := b.replica(t, "EdDSA")
	first := kid(t, other)
	second := b.asked(t)

	require.Equal(t, 300*time.Second, JWKSMaxAge, "as the contract says")
	b.clock.advance(staleAfter)
	require.Equal(t, []string{first, second}, published(other))

	require.GreaterOrEqual(t, Publication-staleAfter, 2*JWKSMaxAge, "from when all publish it")
	b.clock.advance(Publication - staleAfter)
	require.Equal(t, first, kid(t, other), "reads the keys a moment before they change")
	b.tick(t, Rotation{Activated: second, Retired: []string{first}})
	require.Equal(t, second, kid(t, b.Service))
	accepts(t, other, issue(t, b.Service))
	require.Equal(t, first, kid(t, other))
	accepts(t, b.Service, issue(t, other))

	b.clock.advance(staleAfter)
	require.Equal(t, second, kid(t, other))
}

// For a key that leaked: it is worth nothing, nor is any other that was stored.
func TestTokens_Rotate_Now(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	other := b.replica(t, "EdDSA")
	b.asked(t)
	ofRetired := issue(t, b.Service)
	b.clock.advance(Publication)
	_, err := b.RotateIfDue(t.Context())
	require.NoError(t, err)
	b.asked(t)
	stored := b.states(t)
	require.Len(t, stored, 3, "one in each state")
	ofActive := issue(t, b.Service)
	accepts(t, other, ofRetired)
	accepts(t, other, ofActive)

	r, err := b.Rotate(t.Context(), true)
	require.NoError(t, err)
	require.NotContains(t, stored, r.Activated)
	require.Len(t, r.Revoked, 3)
	for _, kid := range r.Revoked {
		require.Contains(t, stored, kid)
	}
	require.Empty(t, cmp.Diff(Rotation{Algorithm: "EdDSA", Activated: r.Activated, Revoked: r.Revoked}, r))
	require.Equal(t, map[string]string{r.Activated: StateActive}, b.states(t))
	require.Equal(t, []string{r.Activated}, published(b.Service))
	require.Equal(t, r.Activated, kid(t, b.Service))

	refuses(t, b.Service, ofRetired)
	refuses(t, b.Service, ofActive)
	b.clock.advance(staleAfter - 1)
	accepts(t, other, ofActive)
	b.clock.advance(1)
	refuses(t, other, ofActive)
	refuses(t, other, ofRetired)
	accepts(t, other, issue(t, b.Service))
	require.Equal(t, r.Activated, kid(t, other))
	require.Equal(t, []string{r.Activated}, published(other))
	refuses(t, b.replica(t, "EdDSA"), ofActive)

	b.tick(t, Rotation{})
}

// However many replicas tick at once, each step is taken once.
func TestTokens_RotateIfDue_AtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	replicas := []*Service{b.Service, b.replica(t, "EdDSA"), b.replica(t, "EdDSA"), b.replica(t, "EdDSA")}
	first := kid(t, b.Service)
	tick := func() (changed []Rotation) {
		t.Helper()
		got, errs := make([]Rotation, 20), make([]error, 20)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() { got[i], errs[i] = replicas[i%len(replicas)].RotateIfDue(t.Context()) })
		}
		wg.Wait()
		require.NoError(t, errors.Join(errs...))
		for _, r := range got {
			if r.Changed() {
				changed = append(changed, r)
			}
		}
		return changed
	}

	b.clock.advance(DefaultRotationInterval)
	made := tick()
	require.Len(t, made, 1)
	b.clock.advance(Publication)
	require.Empty(t, cmp.Diff([]Rotation{{Algorithm: "EdDSA", Activated: made[0].Made, Retired: []string{first}}}, tick(), cmpopts.EquateEmpty()))
	b.clock.advance(ttl + retiredMargin + time.Second)
	require.Empty(t, cmp.Diff([]Rotation{{Algorithm: "EdDSA", Deleted: []string{first}}}, tick(), cmpopts.EquateEmpty()))
	require.Equal(t, map[string]string{made[0].Made: StateActive}, b.states(t))
}

// After a change of AUTH_JWT_ALGORITHM the old keys retire, whatever became of
// them so far, and their tokens live out.
func TestTokens_RotateIfDue_OtherAlgorithm(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	old, first, second := issue(t, b.Service), kid(t, b.Service), b.asked(t)
	changed := &bundle{Service: b.replica(t, "ES256"), db: b.db, clock: b.clock}
	third := kid(t, changed.Service)

	got, err := changed.RotateIfDue(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []string{first, second}, got.Retired)
	require.Empty(t, cmp.Diff(Rotation{Algorithm: "ES256", Retired: got.Retired}, got, cmpopts.EquateEmpty()))
	accepts(t, changed.Service, old)
	require.Len(t, published(changed.Service), 3)

	// A replica under the old setting does not stop.
	b.clock.advance(staleAfter)
	fourth := kid(t, b.Service)
	require.NotContains(t, []string{first, second, third}, fourth)
	accepts(t, changed.Service, issue(t, b.Service))
	changed.tick(t, Rotation{Retired: []string{fourth}})

	b.clock.advance(ttl + retiredMargin + time.Second)
	_, err = changed.RotateIfDue(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]string{third: StateActive}, changed.states(t))
}

// What is to be written with a rotation is, or there is no rotation.
func TestTokens_Rotate_Rotated(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	before := b.states(t)
	var told []Rotation
	fault := errors.New("no event")
	b.o.Rotated = func(ctx context.Context, tx pgx.Tx, r Rotation) error {
		var n int
		require.NoError(t, tx.QueryRow(ctx, "SELECT count(*) FROM signing_keys WHERE kid = $1 OR kid = $2", r.Made, r.Activated).Scan(&n))
		require.Equal(t, 1, n, "in the transaction of the rotation")
		told = append(told, r)
		return fault
	}
	b.clock.advance(DefaultRotationInterval)
	for _, rotate := range []func() (Rotation, error){
		func() (Rotation, error) { return b.Rotate(t.Context(), false) },
		func() (Rotation, error) { return b.Rotate(t.Context(), true) },
		func() (Rotation, error) { return b.RotateIfDue(t.Context()) },
	} {
		r, err := rotate()
		require.ErrorIs(t, err, fault)
		require.Zero(t, r)
		require.Equal(t, before, b.states(t))
	}
	require.Len(t, told, 3)

	fault = nil
	made := b.asked(t)
	require.Equal(t, made, told[3].Made)
	b.tick(t, Rotation{})
	require.Len(t, told, 4, "nothing to tell where nothing changed")
}

// With the wrong key nothing can be rotated, for there is no Service; whatever
// state the stored keys are in.
func TestTokens_Rotate_WrongEncryptionKey(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	wrong := func() {
		t.Helper()
		before := b.states(t)
		_, err := b.open(t, "EdDSA", bytes.Repeat([]byte{2}, 32))
		require.ErrorIs(t, err, ErrWrongKey)
		require.Equal(t, before, b.states(t))
	}
	wrong()
	b.asked(t)
	wrong()
	b.clock.advance(Publication)
	_, err := b.RotateIfDue(t.Context())
	require.NoError(t, err)
	wrong()
	_, err = b.Rotate(t.Context(), true)
	require.NoError(t, err)
	wrong()
}
