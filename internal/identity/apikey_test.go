package identity

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
)

// createKey makes a key that carries a scope or two.
func (b *bundle) createKey(t *testing.T, change ...func(*NewAPIKey)) (APIKey, string) {
	t.Helper()
	n := NewAPIKey{Name: "backend", Scopes: []string{"credits:read", "credits:debit"}, CreatedBy: b.owner(t)}
	for _, f := range change {
		f(&n)
	}
	key, text, err := b.CreateAPIKey(t.Context(), n)
	require.NoError(t, err)
	return key, text
}

// owner is an administrator, made once.
func (b *bundle) owner(t *testing.T) uuid.UUID {
	t.Helper()
	user, found, err := b.FindUser(t.Context(), "admin@example.com")
	require.NoError(t, err)
	if !found {
		user = b.admin(t).User
	}
	return user.ID
}

func TestIdentity_CreateAPIKey(t *testing.T) {
	t.Parallel()

	t.Run("Works", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		key, text := b.createKey(t)
		require.Empty(t, cmp.Diff(APIKey{
			ID: key.ID, Name: "backend", Scopes: []string{"credits:read", "credits:debit"}, CreatedAt: startStored,
		}, key))
		require.Regexp(t, `^ask_`+hex.EncodeToString(key.ID[:])+`_[0-9a-f]{64}$`, text)

		caller, err := b.AuthenticateKey(t.Context(), text)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(Caller{APIKeyID: key.ID, Scopes: key.Scopes}, caller))
	})
	t.Run("EachHasItsSecret", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, one := b.createKey(t)
		_, two := b.createKey(t)
		require.NotEqual(t, one[len(one)-64:], two[len(two)-64:])
	})
	t.Run("ExpiryMustLieAhead", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for _, at := range []time.Time{startStored.Add(-time.Hour), startStored, {}} {
			_, text, err := b.CreateAPIKey(t.Context(), NewAPIKey{Name: "n", Scopes: Scopes, ExpiresAt: &at, CreatedBy: b.owner(t)})
			require.Equal(t, []apperr.Field{{Pointer: "/expires_at", Message: "must lie in the future"}}, apperr.From(err).Fields)
			require.Empty(t, text)
		}
		require.Zero(t, b.count(t, "api_keys"))
	})
	t.Run("EveryScope", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, text := b.createKey(t, func(n *NewAPIKey) { n.Scopes = Scopes })
		caller, err := b.AuthenticateKey(t.Context(), text)
		require.NoError(t, err)
		require.Equal(t, Scopes, caller.Scopes)
		require.False(t, caller.IsAdmin(), "a key is not an administrator, whatever it may do")
	})
	t.Run("OnlyKnownScopes", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for _, scopes := range [][]string{nil, {}, {"credits:*"}, {"credits:read", "keys:write"}, {""}} {
			_, text, err := b.CreateAPIKey(t.Context(), NewAPIKey{Name: "n", Scopes: scopes, CreatedBy: b.owner(t)})
			require.Error(t, err)
			require.Empty(t, text)
		}
		require.Zero(t, b.count(t, "api_keys"))
	})
	t.Run("SurvivesItsMaker", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, text := b.createKey(t)
		_, err := b.CreateUser(t.Context(), NewUser{Email: ada, Password: rightPassword, Role: RoleAdmin})
		require.NoError(t, err)
		require.NoError(t, b.DeleteUser(t.Context(), Caller{}, b.owner(t)))
		_, err = b.AuthenticateKey(t.Context(), text)
		require.NoError(t, err)
	})
}

func TestIdentity_APIKeys(t *testing.T) {
	t.Parallel()

	t.Run("None", func(t *testing.T) {
		t.Parallel()
		page, more, err := setup(t).APIKeys(t.Context(), uuid.Max, 10)
		require.NoError(t, err)
		require.False(t, more)
		require.Empty(t, page)
	})
	t.Run("Pages", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var made []APIKey // newest first
		for range 5 {
			key, _ := b.createKey(t)
			made = append([]APIKey{key}, made...)
		}
		var got []APIKey
		before := uuid.Max
		for _, want := range []struct {
			size int
			more bool
		}{{2, true}, {2, true}, {1, false}} {
			page, more, err := b.APIKeys(t.Context(), before, 2)
			require.NoError(t, err)
			require.Len(t, page, want.size)
			require.Equal(t, want.more, more)
			got, before = append(got, page...), page[len(page)-1].ID
			b.createKey(t) // must not shift the pages that follow
		}
		require.Empty(t, cmp.Diff(made, got))
	})
	t.Run("ExactlyOnePage", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.createKey(t)
		b.createKey(t)
		page, more, err := b.APIKeys(t.Context(), uuid.Max, 2)
		require.NoError(t, err)
		require.Len(t, page, 2)
		require.False(t, more)
	})
}

func TestIdentity_DeleteAPIKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	gone, text := b.createKey(t)
	kept, keptText := b.createKey(t)

	require.NoError(t, b.DeleteAPIKey(t.Context(), gone.ID))
	require.Equal(t, ErrAPIKeyNotFound, b.DeleteAPIKey(t.Context(), gone.ID), "again")
	require.Equal(t, ErrAPIKeyNotFound, b.DeleteAPIKey(t.Context(), uuid.Must(uuid.NewV7())))

	_, err := b.AuthenticateKey(t.Context(), text)
	require.Equal(t, ErrInvalidAPIKey, err)
	_, err = b.AuthenticateKey(t.Context(), keptText)
	require.NoError(t, err)
	page, more, err := b.APIKeys(t.Context(), uuid.Max, 10)
	require.NoError(t, err)
	require.False(t, more)
	require.Len(t, page, 1)
	require.Equal(t, kept.ID, page[0].ID)
}

// Whatever is wrong with a key, the answer is the same.
func TestIdentity_AuthenticateKey_Refused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, good := b.createKey(t)
	_, other := b.createKey(t)
	in := startStored.Add(time.Hour)
	_, expires := b.createKey(t, func(n *NewAPIKey) { n.ExpiresAt = &in })
	deleted, deletedText := b.createKey(t)
	require.NoError(t, b.DeleteAPIKey(t.Context(), deleted.ID))

	head, secret := good[:len(good)-64], good[len(good)-64:]
	_, err := b.AuthenticateKey(t.Context(), expires)
	require.NoError(t, err)
	b.clock.advance(time.Hour)

	for name, text := range map[string]string{
		"Empty":            "",
		"Prefix":           "ask_",
		"Word":             "secret",
		"OtherPrefix":      "bsk_" + good[4:],
		"PrefixUpper":      "ASK_" + good[4:],
		"NoSecret":         head,
		"SecretCut":        good[:len(good)-1],
		"OneMore":          good + "0",
		"TwoMore":          good + "00",
		"OverLong":         good + strings.Repeat("0", 100_000),
		"OverLongNonsense": strings.Repeat("ask_", 100_000),
		"TrailingLine":     good + "\n",
		"LineForDigit":     good[:len(good)-1] + "\n",
		"SpaceBefore":      " " + good,
		"NotHex":           head + "g" + secret[1:],
		"IDNotHex":         "ask_g" + good[5:],
		"IDWithHyphens":    "ask_" + uuid.Must(uuid.NewV7()).String() + "_" + secret,
		"OtherSeparator":   head[:len(head)-1] + "-" + secret,
		"FullWidthDigit":   head + "０" + secret[3:],
		"WrongSecret":      head + strings.Repeat("0", 64),
		"SecretOfAnother":  head + other[len(other)-64:],
		"Unknown":          "ask_" + strings.Repeat("0", 32) + "_" + secret,
		"Deleted":          deletedText,
		"Expired":          expires,
		"NUL":              head + "\x00" + secret[1:],
	} {
		t.Run(name, func(t *testing.T) {
			caller, err := b.AuthenticateKey(t.Context(), text)
			require.Equal(t, ErrInvalidAPIKey, err, "also without a cause of its own")
			require.Zero(t, caller)
		})
	}
	_, err = b.AuthenticateKey(t.Context(), good)
	require.NoError(t, err)
}

func TestIdentity_AuthenticateKey_Expiry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at := startStored.Add(time.Hour)
	_, text := b.createKey(t, func(n *NewAPIKey) { n.ExpiresAt = &at })

	b.clock.advance(time.Hour - tick)
	_, err := b.AuthenticateKey(t.Context(), text)
	require.NoError(t, err)
	b.clock.advance(tick)
	_, err = b.AuthenticateKey(t.Context(), text)
	require.Equal(t, ErrInvalidAPIKey, err)
}

// A busy key is not a busy row.
func TestIdentity_AuthenticateKey_LastUsed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, text := b.createKey(t)
	_, unused := b.createKey(t)
	use := func(want time.Time) {
		t.Helper()
		_, err := b.AuthenticateKey(t.Context(), text)
		require.NoError(t, err)
		require.Equal(t, want, one[time.Time](t, b, "SELECT max(last_used_at) FROM api_keys"))
	}

	use(startStored)
	b.clock.advance(time.Minute)
	use(startStored)
	b.clock.advance(tick)
	second := startStored.Add(time.Minute + tick)
	use(second)
	b.clock.advance(30 * time.Second)
	use(second)

	wrong := unused[:len(unused)-64] + strings.Repeat("0", 64)
	_, err := b.AuthenticateKey(t.Context(), wrong)
	require.Equal(t, ErrInvalidAPIKey, err)
	require.Equal(t, 1, one[int](t, b, "SELECT count(last_used_at) FROM api_keys"), "a refused key was not used")

	b.clock.advance(time.Hour)
	errs := make([]error, 20)
	together(len(errs), func(i int) { _, errs[i] = b.AuthenticateKey(t.Context(), text) })
	for _, err := range errs {
		require.NoError(t, err)
	}
	use(second.Add(time.Hour + 30*time.Second))
}
