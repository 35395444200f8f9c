package tokens

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/accesstoken"
)

// Nobody signs but the service.
func TestTokens_Verify_Forgeries(t *testing.T) {
	t.Parallel()
	_, eve, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	byEve := func(f *forger) string {
		return f.signedBy(jwt.SigningMethodEdDSA, eve, f.json(f.header), f.json(f.payload))
	}
	evesJWK := JWK{Kty: "OKP", Crv: "Ed25519", X: b64(eve.Public().(ed25519.PublicKey)), Use: "sig", Alg: "EdDSA"}
	evesJWK.Kid = thumbprint(evesJWK)

	cases := map[string]func(*forger) string{
		"OtherKey":         byEve,
		"OtherKeyOwnKid":   func(f *forger) string { f.header["kid"] = evesJWK.Kid; return byEve(f) },
		"OtherKeyEmbedded": func(f *forger) string { f.header["jwk"] = evesJWK; return byEve(f) },
		"OtherKeyEmbeddedOwnKid": func(f *forger) string {
			f.header["jwk"], f.header["kid"] = evesJWK, evesJWK.Kid
			return byEve(f)
		},
		"SignatureOfAnotherToken": func(f *forger) string {
			other := f.token()
			f.payload["role"] = "user"
			token := f.token()
			return token[:strings.LastIndexByte(token, '.')] + other[strings.LastIndexByte(other, '.'):]
		},
		"PayloadChanged": func(f *forger) string {
			segments := strings.Split(f.token(), ".")
			f.payload["role"] = "superuser"
			segments[1] = b64([]byte(f.json(f.payload)))
			return strings.Join(segments, ".")
		},
		"HeaderChanged": func(f *forger) string {
			segments := strings.Split(f.token(), ".")
			f.header["x"] = 1
			segments[0] = b64([]byte(f.json(f.header)))
			return strings.Join(segments, ".")
		},
		"SignatureMissing": replace(2, ""),
		"SignatureZero":    replace(2, b64(make([]byte, 64))),
		"LineEndAfter":     raw(func(token string) string { return token + "\n" }),
		"LineEndsAfter":    raw(func(token string) string { return token + "\r\n\r\n" }),
		"LineEndInside":    raw(func(token string) string { return token[:len(token)-5] + "\n" + token[len(token)-5:] }),
		"SignatureCut": raw(func(token string) string {
			dot := strings.LastIndexByte(token, '.')
			signature, _ := base64.RawURLEncoding.DecodeString(token[dot+1:])
			return token[:dot+1] + b64(signature[:63])
		}),
		"SignatureLonger": raw(func(token string) string {
			dot := strings.LastIndexByte(token, '.')
			signature, _ := base64.RawURLEncoding.DecodeString(token[dot+1:])
			return token[:dot+1] + b64(append(signature, 0))
		}),
	}
	for _, none := range []string{"none", "None", "NONE", "nOnE", ""} {
		cases["Alg_"+none] = func(f *forger) string {
			f.header["alg"] = none
			return strings.TrimRight(f.token(), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
		}
		cases["AlgSigned_"+none] = set(inHeader, "alg", none)
	}
	refused(t, "EdDSA", cases)
}

// A public key is no secret: HS256 under it is worth nothing, in whatever form
// the key is taken for one.
func TestTokens_Verify_Confusion(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"EdDSA", "ES256", "RS256"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			cases := map[string]func(*forger) string{}
			for name, form := range map[string]func(*forger) []byte{
				"PKIX": func(f *forger) []byte { return f.pkix() },
				"PEM": func(f *forger) []byte {
					return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: f.pkix()})
				},
				"JWK": func(f *forger) []byte {
					text, err := json.Marshal(f.JWKS()[0])
					require.NoError(f.t, err)
					return text
				},
				"X": func(f *forger) []byte {
					b, err := base64.RawURLEncoding.DecodeString(f.JWKS()[0].X + f.JWKS()[0].N)
					require.NoError(f.t, err)
					return b
				},
				"Kid":   func(f *forger) []byte { return []byte(f.keys.signing().kid) },
				"Empty": func(*forger) []byte { return []byte{} },
			} {
				for _, method := range []*jwt.SigningMethodHMAC{jwt.SigningMethodHS256, jwt.SigningMethodHS512} {
					cases[method.Alg()+name] = func(f *forger) string {
						f.header["alg"] = method.Alg()
						return f.signedBy(method, form(f), f.json(f.header), f.json(f.payload))
					}
				}
			}
			refused(t, algorithm, cases)
		})
	}
}

// A key is good for its own algorithm only, not for others of its kind.
func TestTokens_Verify_OtherAlgorithmOfTheKey(t *testing.T) {
	t.Parallel()
	for algorithm, others := range map[string][]jwt.SigningMethod{
		"RS256": {jwt.SigningMethodRS384, jwt.SigningMethodRS512, jwt.SigningMethodPS256},
		"HS256": {jwt.SigningMethodHS384, jwt.SigningMethodHS512},
	} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			cases := map[string]func(*forger) string{}
			for _, method := range others {
				cases[method.Alg()] = func(f *forger) string {
					f.header["alg"] = method.Alg()
					return f.signedBy(method, f.keys.signing().sign, f.json(f.header), f.json(f.payload))
				}
			}
			refused(t, algorithm, cases)
		})
	}
}

// Nor does a key take the algorithm of another that is known as well.
func TestTokens_Verify_AlgorithmOfAnotherKey(t *testing.T) {
	t.Parallel()
	b := setup(t, "EdDSA")
	other := &bundle{Service: b.replica(t, "ES256"), db: b.db, clock: b.clock}
	b.Service = b.replica(t, "EdDSA")
	for _, pair := range [][2]*bundle{{b, other}, {other, b}} {
		mine, its := newForger(t, pair[0]), newForger(t, pair[1])
		for name, kid := range map[string]any{"its own": mine.header["kid"], "the other's": its.header["kid"]} {
			mine.header["kid"] = kid
			for _, algorithm := range []any{mine.header["alg"], its.header["alg"]} {
				header := members{"typ": accesstoken.Type, "kid": kid, "alg": algorithm}
				_, err := b.Verify(t.Context(), mine.signed(mine.json(header), mine.json(mine.payload)))
				if name == "its own" && algorithm == mine.header["alg"] {
					require.NoError(t, err)
					continue
				}
				require.ErrorIs(t, err, ErrInvalid, "%s key, %s", name, algorithm)
			}
		}
	}
}
