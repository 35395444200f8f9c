package accesstoken

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	// RFC 8037, appendix A.2; RFC 7515, appendices A.3 and A.2.
	ed25519Key = JWK{Kty: "OKP", Kid: "k", Use: "sig", Alg: "EdDSA", Crv: "Ed25519", X: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
	p256Key    = JWK{
		Kty: "EC", Kid: "k", Use: "sig", Alg: "ES256", Crv: "P-256",
		X: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", Y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
	}
	rsaKey = JWK{
		Kty: "RSA", Kid: "k", Use: "sig", Alg: "RS256", E: "AQAB",
		N: "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMs" +
			"D1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV" +
			"MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
	}
)

func TestJWK_Key(t *testing.T) {
	t.Parallel()
	for _, jwk := range []JWK{ed25519Key, p256Key, rsaKey} {
		key, err := jwk.Key()
		require.NoError(t, err)
		require.Equal(t, jwk.Alg, key.Method.Alg())
	}
}

func TestJWK_Key_Unusable(t *testing.T) {
	t.Parallel()
	for name, jwk := range map[string]JWK{
		"Empty":       {},
		"Encryption":  with(ed25519Key, func(k *JWK) { k.Use = "enc" }),
		"NoKid":       with(ed25519Key, func(k *JWK) { k.Kid = "" }),
		"Short":       with(ed25519Key, func(k *JWK) { k.X = k.X[:40] }),
		"OtherAlg":    with(ed25519Key, func(k *JWK) { k.Alg = "HS256" }),
		"NoAlg":       with(ed25519Key, func(k *JWK) { k.Alg = "" }),
		"None":        with(ed25519Key, func(k *JWK) { k.Alg = "none" }),
		"Secret":      {Kty: "oct", Kid: "k", Use: "sig", Alg: "HS256", X: "c2VjcmV0"},
		"OtherCurve":  with(p256Key, func(k *JWK) { k.Crv = "P-384" }),
		"OffTheCurve": with(p256Key, func(k *JWK) { k.Y = k.X }),
		"Padded":      with(p256Key, func(k *JWK) { k.X += "=" }),
		"SmallRSA":    with(rsaKey, func(k *JWK) { k.N = k.N[:170] }),
		"NoExponent":  with(rsaKey, func(k *JWK) { k.E = "" }),
		"BigExponent": with(rsaKey, func(k *JWK) { k.E = strings.Repeat("AQAB", 2) }),
	} {
		key, err := jwk.Key()
		require.ErrorIs(t, err, ErrUnusable, name)
		require.Nil(t, key, name)
	}
}

func with(k JWK, change func(*JWK)) JWK {
	change(&k)
	return k
}
