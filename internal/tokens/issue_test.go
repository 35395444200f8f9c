package tokens

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/accesstoken"
)

// part decodes a segment of a token.
func part(t *testing.T, token string, n int) map[string]any {
	t.Helper()
	segments := strings.Split(token, ".")
	require.Len(t, segments, 3)
	text, err := base64.RawURLEncoding.DecodeString(segments[n])
	require.NoError(t, err)
	var members map[string]any
	require.NoError(t, json.Unmarshal(text, &members))
	return members
}

func header(t *testing.T, token string) map[string]any  { t.Helper(); return part(t, token, 0) }
func payload(t *testing.T, token string) map[string]any { t.Helper(); return part(t, token, 1) }

func TestTokens_Issue(t *testing.T) {
	t.Parallel()
	for _, algorithm := range Algorithms {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			b := setup(t, algorithm)
			token := issue(t, b.Service)

			require.Empty(t, cmp.Diff(map[string]any{"alg": algorithm, "typ": "at+jwt", "kid": b.keys.signing().kid}, header(t, token)))
			got := payload(t, token)
			at := float64(start.Unix())
			require.Empty(t, cmp.Diff(map[string]any{
				"iss": issuer, "aud": []any{audience}, "sub": subject.UserID.String(), "sid": subject.SessionID.String(),
				"iat": at, "nbf": at, "exp": at + ttl.Seconds(), "jti": got["jti"],
				"client_id": audience, "role": "admin", "scope": "credits:read users:write",
			}, got))
			require.NoError(t, uuid.Validate(got["jti"].(string)))
			require.NotEqual(t, got["jti"], payload(t, issue(t, b.Service))["jti"])
			require.Less(t, len(token), accesstoken.MaxLength/2, "more than enough room")

			verified, err := b.Verify(t.Context(), token)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(subject, verified))
		})
	}
	t.Run("NoScopes", func(t *testing.T) {
		t.Parallel()
		b := setup(t, "EdDSA")
		want := Subject{UserID: subject.UserID, SessionID: subject.SessionID, Role: "user"}
		token, err := b.Issue(want)
		require.NoError(t, err)
		require.Empty(t, payload(t, token)["scope"])
		got, err := b.Verify(t.Context(), token)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(want, got, cmpopts.EquateEmpty()))
	})
}

func TestTokens_Lifetime(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	require.Equal(t, ttl, b.TTL())
	token := issue(t, b.Service)
	expires := start.Truncate(time.Second).Add(ttl)

	b.clock.advance(expires.Sub(start) - 1)
	_, err := b.Verify(t.Context(), token)
	require.NoError(t, err)
	b.clock.advance(1)
	_, err = b.Verify(t.Context(), token)
	require.ErrorIs(t, err, ErrInvalid)
}

// The published keys are all that others need, and nothing more.
func TestTokens_JWKS(t *testing.T) {
	t.Parallel()
	for algorithm, shape := range map[string]string{
		"EdDSA": `^\[{"kty":"OKP","kid":"[\w-]{43}","use":"sig","alg":"EdDSA","crv":"Ed25519","x":"[\w-]{43}"}\]$`,
		"ES256": `^\[{"kty":"EC","kid":"[\w-]{43}","use":"sig","alg":"ES256","crv":"P-256","x":"[\w-]{43}","y":"[\w-]{43}"}\]$`,
		"RS256": `^\[{"kty":"RSA","kid":"[\w-]{43}","use":"sig","alg":"RS256","n":"[\w-]{512}","e":"AQAB"}\]$`,
		"HS256": `^\[\]$`,
	} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			b := setup(t, algorithm)
			text, err := json.Marshal(b.JWKS())
			require.NoError(t, err)
			require.Regexp(t, shape, string(text))
			for _, jwk := range b.JWKS() {
				token := issue(t, b.Service)
				require.Equal(t, jwk.Kid, header(t, token)["kid"])
				require.Equal(t, jwk.Kid, thumbprint(jwk))
				require.True(t, verifiedBy(t, jwk, token))
				require.False(t, verifiedBy(t, jwk, "x"+token))
			}
		})
	}
	t.Run("TheKidOfASecretDoesNotTellIt", func(t *testing.T) {
		t.Parallel()
		secret := NewSecret()
		sum := sha256.Sum256(secret)
		k := secretKey(secret)
		require.NotEqual(t, b64(sum[:]), k.kid)
		require.Equal(t, k.kid, secretKey(secret).kid, "every replica finds the same")
		require.Nil(t, k.jwk)
	})
}

// verifiedBy checks a signature as a stranger does, with a published key alone.
func verifiedBy(t *testing.T, jwk JWK, token string) bool {
	t.Helper()
	number := func(text string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(text)
		require.NoError(t, err)
		return b
	}
	dot := strings.LastIndexByte(token, '.')
	text, signature := []byte(token[:dot]), number(token[dot+1:])
	sum := sha256.Sum256(text)
	switch jwk.Alg {
	case "EdDSA":
		return ed25519.Verify(number(jwk.X), text, signature)
	case "ES256":
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, number(jwk.X)...), number(jwk.Y)...))
		require.NoError(t, err)
		require.Len(t, signature, 64)
		return ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
	case "RS256":
		public := &rsa.PublicKey{N: new(big.Int).SetBytes(number(jwk.N)), E: int(new(big.Int).SetBytes(number(jwk.E)).Int64())}
		require.Equal(t, 3072, public.N.BitLen())
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature) == nil
	}
	t.Fatal(jwk.Alg)
	return false
}
