package identity

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/audit"
)

// requireKey checks whether the text of a key lets in, as the caller that it should be.
func (b *bundle) requireKey(t *testing.T, key APIKey, text string, good bool) {
	t.Helper()
	caller, err := b.AuthenticateKey(t.Context(), text)
	if !good {
		require.Equal(t, ErrInvalidAPIKey, err)
		require.Zero(t, caller)
		return
	}
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(Caller{APIKeyID: key.ID, Scopes: key.Scopes}, caller))
}

func (b *bundle) rotate(t *testing.T, id uuid.UUID, overlap time.Duration) (APIKey, string) {
	t.Helper()
	key, text, err := b.RotateAPIKey(t.Context(), id, overlap)
	require.NoError(t, err)
	return key, text
}

func TestIdentity_RotateAPIKey(t *testing.T) {
	t.Parallel()
	const overlap = 24 * time.Hour

	t.Run("BothWorkDuringTheOverlap", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		expires := startStored.Add(90 * 24 * time.Hour)
		made, old := b.createKey(t, func(n *NewAPIKey) { n.ExpiresAt = &expires })
		other, others := b.createKey(t)
		b.clock.advance(time.Hour)
		ctx, _ := requestFrom(t, audit.User(b.owner(t)), "203.0.113.9", "Firefox")
		key, text, err := b.RotateAPIKey(ctx, made.ID, overlap)
		require.NoError(t, err)

		at := startStored.Add(time.Hour)
		want := made // the id, the name, the scopes and the expiry stay
		want.RotatedAt, want.PreviousExpiresAt = &at, new(at.Add(overlap))
		require.Empty(t, cmp.Diff(want, key))
		require.Regexp(t, `^ask_`+hex.EncodeToString(made.ID[:])+`_[0-9a-f]{64}$`, text)
		require.NotEqual(t, old, text)

		b.requireKey(t, made, old, true)
		b.requireKey(t, made, text, true)
		b.clock.advance(overlap - tick)
		b.requireKey(t, made, old, true)
		b.clock.advance(tick)
		b.requireKey(t, made, old, false)
		b.requireKey(t, made, text, true)
		b.requireKey(t, other, others, true)

		events := b.happened(t, audit.APIKeyRotated)
		require.Len(t, events, 1)
		require.Equal(t, audit.User(b.owner(t)), events[0].Actor)
		require.Equal(t, audit.Target{Type: audit.TargetAPIKey, ID: made.ID}, events[0].Target)
	})

	t.Run("WithoutAnOverlap", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		made, old := b.createKey(t)
		_, text := b.rotate(t, made.ID, 0)
		b.requireKey(t, made, old, false)
		b.requireKey(t, made, text, true)
	})

	t.Run("TwiceEndsTheOldestAtOnce", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		made, oldest := b.createKey(t)
		_, middle := b.rotate(t, made.ID, overlap)
		_, newest := b.rotate(t, made.ID, overlap)
		b.requireKey(t, made, oldest, false)
		b.requireKey(t, made, middle, true)
		b.requireKey(t, made, newest, true)
	})

	t.Run("TheOverlapDoesNotOutliveTheKey", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		made, old := b.createKey(t, func(n *NewAPIKey) { n.ExpiresAt = new(startStored.Add(time.Hour)) })
		_, text := b.rotate(t, made.ID, overlap)
		b.clock.advance(time.Hour)
		b.requireKey(t, made, old, false)
		b.requireKey(t, made, text, false)
	})

	t.Run("DeletionEndsBoth", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		made, old := b.createKey(t)
		_, text := b.rotate(t, made.ID, overlap)
		require.NoError(t, b.DeleteAPIKey(t.Context(), made.ID))
		b.requireKey(t, made, old, false)
		b.requireKey(t, made, text, false)
	})

	t.Run("NotFound", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		deleted, _ := b.createKey(t)
		require.NoError(t, b.DeleteAPIKey(t.Context(), deleted.ID))
		expired, _ := b.createKey(t, func(n *NewAPIKey) { n.ExpiresAt = new(startStored.Add(time.Hour)) })
		b.clock.advance(time.Hour)
		for _, id := range []uuid.UUID{deleted.ID, expired.ID, uuid.New(), {}} {
			key, text, err := b.RotateAPIKey(t.Context(), id, overlap)
			require.Equal(t, ErrAPIKeyNotFound, err)
			require.Zero(t, key)
			require.Empty(t, text)
		}
		require.Empty(t, b.happened(t, audit.APIKeyRotated))
	})

	t.Run("ManyAtOnce", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		made, old := b.createKey(t)
		texts := make([]string, 20)
		together(len(texts), func(i int) { _, texts[i] = b.rotate(t, made.ID, overlap) })
		good := 0
		for _, text := range texts {
			if _, err := b.AuthenticateKey(t.Context(), text); err == nil {
				good++
			}
		}
		require.Equal(t, 2, good, "the newest and the one before it")
		b.requireKey(t, made, old, false)
	})

	t.Run("TheNewSecretIsNotStored", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		made, _ := b.createKey(t)
		_, text := b.rotate(t, made.ID, overlap)
		secret := text[len(text)-64:]
		cells := b.cells(t)
		for _, whole := range [][]byte{[]byte(secret), decoded(t, hex.DecodeString, secret)} {
			for form, needle := range forms(whole) {
				require.Empty(t, cells.holding(needle), form)
			}
		}
	})
}
