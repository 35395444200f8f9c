package identity

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/authservice/authservice/internal/apperr"
)

var (
	somePepper  = []byte("k3Zq8vRt1Yw6Xn0Bs5Cd9Ef2Gh7Jm4Lp")
	otherPepper = []byte("k3Zq8vRt1Yw6Xn0Bs5Cd9Ef2Gh7Jm4Lq")
)

// A password is checked in full: nothing ends it, nothing is trimmed or folded.
func TestIdentity_Password_EveryByteCounts(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 72)
	for name, pair := range map[string][2]string{
		"After72Bytes":     {long + "a", long + "b"},
		"LongerThan72":     {long, long + "x"},
		"Last":             {strings.Repeat("😀", 255) + "a", strings.Repeat("😀", 255) + "b"},
		"AfterNUL":         {"password\x00one", "password\x00two"},
		"EndsInNUL":        {"password", "password\x00"},
		"BeginsWithNUL":    {"\x00password", "\x00passwore"},
		"Case":             {"password", "Password"},
		"SpaceAround":      {"password", " password "},
		"Newline":          {"password", "password\n"},
		"NotNormalised":    {"passw\u00f6rd", "passwo\u0308rd"},
		"FullWidth":        {"password", "ｐａｓｓｗｏｒｄ"},
		"InvalidUTF8":      {"password\xff", "password\xfe"},
		"ItsOwnHashIsNone": {"password", string(newHasher(bcrypt.MinCost, nil).prehash("password"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHasher(bcrypt.MinCost, nil)
			for i, right := range pair {
				stored, err := h.hash(t.Context(), right)
				require.NoError(t, err)

				match, err := h.verify(t.Context(), &stored, right)
				require.NoError(t, err)
				require.True(t, match)

				match, err = h.verify(t.Context(), &stored, pair[1-i])
				require.NoError(t, err)
				require.False(t, match)
			}
		})
	}
}

func TestIdentity_Password_Length(t *testing.T) {
	t.Parallel()
	const short, long = "must have at least 8 characters", "must have at most 256 characters"
	for name, test := range map[string]struct {
		password string
		message  string // empty for a good one
	}{
		"Empty":             {"", short},
		"Seven":             {strings.Repeat("a", 7), short},
		"Eight":             {strings.Repeat("a", 8), ""},
		"EightSpaces":       {strings.Repeat(" ", 8), ""},
		"EightNULs":         {strings.Repeat("\x00", 8), ""},
		"SevenOfTwoBytes":   {strings.Repeat("é", 7), short},
		"EightOfTwoBytes":   {strings.Repeat("é", 8), ""},
		"SevenOfFourBytes":  {strings.Repeat("😀", 7), short},
		"Most":              {strings.Repeat("a", 256), ""},
		"MostOfFourBytes":   {strings.Repeat("😀", 256), ""},
		"TooMany":           {strings.Repeat("a", 257), long},
		"TooManyOfTwoBytes": {strings.Repeat("é", 257), long},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := checkPassword(test.password)
			if test.message == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, []apperr.Field{{Pointer: "/password", Message: test.message}}, apperr.From(err).Fields)
		})
	}
}

func TestIdentity_Password_Stored(t *testing.T) {
	t.Parallel()

	t.Run("NamesItsScheme", func(t *testing.T) {
		t.Parallel()
		plain, err := newHasher(bcrypt.MinCost, nil).hash(t.Context(), rightPassword)
		require.NoError(t, err)
		require.Regexp(t, `^\$hmac-sha256-bcrypt\$0\$\$2a\$04\$[./A-Za-z0-9]{53}$`, plain)

		peppered, err := newHasher(5, somePepper).hash(t.Context(), rightPassword)
		require.NoError(t, err)
		require.Regexp(t, `^\$hmac-sha256-bcrypt\$[0-9a-f]{8}\$\$2a\$05\$[./A-Za-z0-9]{53}$`, peppered)
	})
	t.Run("IsSalted", func(t *testing.T) {
		t.Parallel()
		h := newHasher(bcrypt.MinCost, nil)
		one, err := h.hash(t.Context(), rightPassword)
		require.NoError(t, err)
		two, err := h.hash(t.Context(), rightPassword)
		require.NoError(t, err)
		require.NotEqual(t, one, two)
	})
	t.Run("DamagedMatchesNothing", func(t *testing.T) {
		t.Parallel()
		h := newHasher(bcrypt.MinCost, nil)
		stored, err := h.hash(t.Context(), rightPassword)
		require.NoError(t, err)
		for _, damaged := range []string{"", hashScheme, hashScheme + "0$", stored[:len(stored)-1], stored[1:], "$other" + stored} {
			match, err := h.verify(t.Context(), &damaged, rightPassword)
			require.NoError(t, err)
			require.False(t, match, damaged)
		}
	})
}

func TestIdentity_Password_Pepper(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stored, now []byte
		match       bool
	}{
		"None":    {nil, nil, true},
		"Same":    {somePepper, somePepper, true},
		"Added":   {nil, somePepper, false},
		"Removed": {somePepper, nil, false},
		"Changed": {somePepper, otherPepper, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stored, err := newHasher(bcrypt.MinCost, test.stored).hash(t.Context(), rightPassword)
			require.NoError(t, err)
			match, err := newHasher(bcrypt.MinCost, test.now).verify(t.Context(), &stored, rightPassword)
			require.NoError(t, err)
			require.Equal(t, test.match, match)
		})
	}
	t.Run("EntersTheHash", func(t *testing.T) {
		t.Parallel()
		// Not only the id of the pepper, which whoever reads the database could rewrite.
		some, other := newHasher(bcrypt.MinCost, somePepper), newHasher(bcrypt.MinCost, otherPepper)
		require.NotEqual(t, some.pepperID, other.pepperID)
		require.NotContains(t, string(somePepper), some.pepperID)
		require.NotEqual(t, some.prehash(rightPassword), other.prehash(rightPassword))
		require.NotEqual(t, some.prehash(rightPassword), newHasher(bcrypt.MinCost, nil).prehash(rightPassword))
	})
}

// Who has no account costs as much time as who has one: bcrypt compares in full,
// at the usual cost.
func TestIdentity_Password_NobodysHash(t *testing.T) {
	t.Parallel()
	for _, cost := range []int{4, 7, 12} {
		hashed, known := newHasher(cost, nil).bcryptOf(nil)
		require.False(t, known)
		got, err := bcrypt.Cost([]byte(hashed))
		require.NoError(t, err)
		require.Equal(t, cost, got)
	}
	hashed, _ := newHasher(bcrypt.MinCost, nil).bcryptOf(nil)
	require.ErrorIs(t, bcrypt.CompareHashAndPassword([]byte(hashed), []byte("x")), bcrypt.ErrMismatchedHashAndPassword,
		"it must be compared, not be refused as malformed")
}
