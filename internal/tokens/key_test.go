package tokens

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThumbprint(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		jwk  JWK
		want string
	}{
		"RFC 7638, section 3.1": {
			JWK{
				Kty: "RSA", Kid: "2011-04-29", Alg: "RS256", E: "AQAB",
				N: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64" +
					"tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpb" +
					"ISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
			},
			"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
		},
		"RFC 8037, appendix A.3": {
			JWK{Kty: "OKP", Crv: "Ed25519", X: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
			"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
		},
		"other members do not count": {
			JWK{Kty: "OKP", Crv: "Ed25519", X: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", Kid: "k", Use: "sig", Alg: "EdDSA"},
			"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, thumbprint(test.jwk))
		})
	}
}

func TestKey_Restore(t *testing.T) {
	t.Parallel()
	for _, algorithm := range Algorithms {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			made, stored, err := generate(algorithm)
			require.NoError(t, err)
			restored, err := restore(algorithm, stored)
			require.NoError(t, err)
			require.Equal(t, made.kid, restored.kid)
			require.Equal(t, algorithm, restored.Method.Alg())
			require.Equal(t, made.jwk, restored.jwk)

			signature, err := made.Method.Sign("text", made.sign)
			require.NoError(t, err)
			require.NoError(t, restored.Method.Verify("text", signature, restored.Public))
			require.Error(t, restored.Method.Verify("texT", signature, restored.Public))
		})
	}
	t.Run("UnknownAlgorithm", func(t *testing.T) {
		t.Parallel()
		for _, algorithm := range []string{"", "none", "ES512", "eddsa"} {
			_, _, err := generate(algorithm)
			require.Error(t, err, algorithm)
		}
	})
	t.Run("Damaged", func(t *testing.T) {
		t.Parallel()
		_, err := restore("EdDSA", []byte("not PKCS #8"))
		require.Error(t, err)
	})
}

// parts are the bytes that make a key private.
func (k *key) parts(t *testing.T) map[string][]byte {
	t.Helper()
	switch private := k.sign.(type) {
	case ed25519.PrivateKey:
		return map[string][]byte{"seed": private.Seed()}
	case *ecdsa.PrivateKey:
		d, err := private.Bytes()
		require.NoError(t, err)
		return map[string][]byte{"d": d}
	case *rsa.PrivateKey:
		return map[string][]byte{"d": private.D.Bytes(), "p": private.Primes[0].Bytes(), "q": private.Primes[1].Bytes()}
	case []byte:
		return map[string][]byte{"k": private}
	}
	t.Fatalf("a %T", k.sign)
	return nil
}

// forms are the ways in which bytes may have been written down.
func forms(b []byte) map[string]string {
	whole := b[:len(b)/3*3] // the end of base64 depends on what stands behind
	return map[string]string{
		"binary": string(b), "hex": hex.EncodeToString(b),
		"base64": base64.RawStdEncoding.EncodeToString(whole), "base64url": base64.RawURLEncoding.EncodeToString(whole),
	}
}

func TestKey_IsStoredEncrypted(t *testing.T) {
	t.Parallel()
	for _, algorithm := range Algorithms {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			b := setup(t, algorithm)
			var kid, row string
			var enc []byte
			require.NoError(t, b.db.Pool.QueryRow(t.Context(), "SELECT kid, private_key_enc, k::text FROM signing_keys k").Scan(&kid, &enc, &row))
			active := b.keys.signing()
			require.Equal(t, active.kid, kid)
			require.Contains(t, row, hex.EncodeToString(enc), "the search sees the column")

			opened, err := newSealer(t, encryptionKey).Open(enc, kid)
			require.NoError(t, err)
			for name, secret := range active.parts(t) {
				require.Contains(t, string(opened), string(secret), "the search knows what it looks for: %s", name)
				for form, text := range forms(secret) {
					require.NotContains(t, row, text, "%s, %s", name, form)
					require.NotContains(t, string(enc), text, "%s, %s", name, form)
				}
			}
		})
	}
}
