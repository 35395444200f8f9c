package tokens

import (
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// What golang-jwt takes when it is left to itself, and we do not. Should it
// become stricter, this says so.
func TestTokens_Verify_StricterThanTheLibrary(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	at := start.Truncate(time.Second).Unix()
	for name, make := range map[string]func(*forger) string{
		"NoExp":            without(inPayload, "exp"),
		"NullExp":          set(inPayload, "exp", nil),
		"TextExp":          number("exp", `"%d"`, at+60),
		"FractionExp":      number("exp", "%d.5", at+60),
		"NoNbf":            without(inPayload, "nbf"),
		"NoIat":            without(inPayload, "iat"),
		"FutureIat":        set(inPayload, "iat", at+3600),
		"NegativeIat":      set(inPayload, "iat", -1),
		"OtherCaseExp":     inText(1, `"exp"`, `"EXP"`),
		"OtherCaseBesides": inText(1, `}`, `,"Sub":"another"}`),
		"TwiceSub":         inText(1, `{`, `{"sub":"another",`),
		"TwiceSubEscaped":  inText(1, `{`, `{"\u0073ub":"another",`),
		"TwiceInTheHeader": inText(0, `{`, `{"alg":"none",`),
		"NotUTF8":          inText(1, `{`, "{\"x\":\"\xff\","),
		"OtherIssuer":      set(inPayload, "iss", "https://eve.example.com"),
		"OtherAudience":    set(inPayload, "aud", "other"),
		"OtherType":        set(inHeader, "typ", "JWT"),
		"NoType":           without(inHeader, "typ"),
		"Crit":             set(inHeader, "crit", []string{"exp"}),
		"B64":              set(inHeader, "b64", false),
		"LineEnd":          raw(func(token string) string { return token + "\n" }),
		"LooseBase64":      raw(func(token string) string { return token[:len(token)-1] + looser(token[len(token)-1]) }),
	} {
		t.Run(name, func(t *testing.T) {
			f := newForger(t, b)
			token := make(f)
			_, err := jwt.NewParser(jwt.WithTimeFunc(b.clock.now)).ParseWithClaims(token, &jwt.RegisteredClaims{}, func(*jwt.Token) (any, error) {
				return b.keys.signing().Public, nil
			})
			require.NoError(t, err, "the library")
			_, err = b.Verify(t.Context(), token)
			require.ErrorIs(t, err, ErrInvalid)
		})
	}
}

// looser is the last digit of 86, two bits of which do not count, with those set.
func looser(last byte) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range digits {
		if digits[i] == last {
			return string(digits[i|1])
		}
	}
	return "!"
}

// Nothing that a token says gets into the logs with the reason.
func TestTokens_Verify_ReasonsTellNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	const secret = "s3cr3t"
	for name, make := range map[string]func(*forger) string{
		"NameTwice":  inText(0, `{`, `{"s3cr3t":1,"s3cr3t":1,`),
		"Kid":        set(inHeader, "kid", secret),
		"Alg":        set(inHeader, "alg", secret),
		"Exp":        set(inPayload, "exp", secret),
		"Sub":        set(inPayload, "sub", secret),
		"Scope":      set(inPayload, "scope", []string{secret}),
		"NotAToken":  func(*forger) string { return secret },
		"OtherClaim": set(inPayload, "SUB", secret),
	} {
		_, err := b.Verify(t.Context(), make(newForger(t, b)))
		require.ErrorIs(t, err, ErrInvalid, name)
		require.NotContains(t, err.Error(), secret, name)
		require.NotEqual(t, ErrInvalid.Error(), err.Error(), "%s: says why", name)
	}
}
