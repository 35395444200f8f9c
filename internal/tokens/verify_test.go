package tokens

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/accesstoken"
)

// What is none of our business does no harm.
func TestTokens_Verify_Accepts(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	at := start.Truncate(time.Second).Unix()
	cases := map[string]func(*forger) string{
		"UnknownHeader":     set(inHeader, "cty", "x"),
		"UnknownClaim":      set(inPayload, "nonce", "x"),
		"SeveralAudiences":  set(inPayload, "aud", []string{"other", audience}),
		"AudienceAsText":    set(inPayload, "aud", audience),
		"ExpIsTheNextThing": set(inPayload, "exp", at+1),
		"ExpIsTheLast":      set(inPayload, "exp", int64(253_402_300_799)),
		"IatOfAFastClock":   set(inPayload, "iat", at+5),
		"NbfOfAFastClock":   set(inPayload, "nbf", at+5),
		"OtherMemberInside": set(inPayload, "x", members{"sub": 1, "EXP": []int{2}}),
		"EscapedName":       inText(1, `"sub"`, `"\u0073ub"`),
		"WhiteSpace":        inText(1, `{`, "{\r\n\t "),
	}
	// Key references are ignored, and nothing is fetched: no such host exists.
	for _, name := range []string{"jku", "x5u", "jwk", "x5c"} {
		cases["Ignores_"+name] = set(inHeader, name, "https://nowhere.invalid/keys")
	}
	client := clientOf(t, b)
	for name, make := range cases {
		t.Run(name, func(t *testing.T) {
			token := make(newForger(t, b))
			got, err := b.Verify(t.Context(), token)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(subject, got))
			_, err = client.Verify(t.Context(), token)
			require.NoError(t, err)
		})
	}
}

// The bound is exact.
func TestTokens_Verify_Length(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	lengths := map[int]bool{}
	f := newForger(t, b)
	payload := maps.Clone(f.payload)
	for pad := range 30 {
		f.payload = maps.Clone(payload)
		f.payload["pad"] = strings.Repeat("x", 2600)
		for len(f.token()) < accesstoken.MaxLength-20+pad {
			f.payload["pad"] = f.payload["pad"].(string) + "x"
		}
		token := f.token()
		lengths[len(token)] = true
		_, err := b.Verify(t.Context(), token)
		if len(token) <= accesstoken.MaxLength {
			require.NoError(t, err, len(token))
		} else {
			require.ErrorIs(t, err, ErrInvalid, len(token))
		}
	}
	require.True(t, lengths[accesstoken.MaxLength] || lengths[accesstoken.MaxLength-1], "none as long as it may be")
	require.True(t, lengths[accesstoken.MaxLength+1] || lengths[accesstoken.MaxLength+2], "none just longer")
}
