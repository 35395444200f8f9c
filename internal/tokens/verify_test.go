package tokens

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

type members = map[string]any

// forger makes tokens that are signed with the service's own key, so that the
// signature is never what is wrong with them.
type forger struct {
	*bundle
	t *testing.T
	// What a good token holds; to be changed.
	header, payload members
}

func newForger(t *testing.T, b *bundle) *forger {
	t.Helper()
	good := issue(t, b.Service)
	return &forger{bundle: b, t: t, header: header(t, good), payload: payload(t, good)}
}

func (f *forger) json(m members) string {
	text, err := json.Marshal(m)
	require.NoError(f.t, err)
	return string(text)
}

// token is what the members say, signed.
func (f *forger) token() string { return f.signed(f.json(f.header), f.json(f.payload)) }

// signed is a token of two texts, signed.
func (f *forger) signed(header, payload string) string {
	k := f.keys.signing()
	return f.signedBy(k.method, k.sign, header, payload)
}

func (f *forger) signedBy(method jwt.SigningMethod, key any, header, payload string) string {
	text := b64([]byte(header)) + "." + b64([]byte(payload))
	signature, err := method.Sign(text, key)
	require.NoError(f.t, err)
	return text + "." + b64(signature)
}

func set(m func(*forger) members, name string, value any) func(*forger) string {
	return func(f *forger) string {
		m(f)[name] = value
		return f.token()
	}
}

func without(m func(*forger) members, name string) func(*forger) string {
	return func(f *forger) string {
		delete(m(f), name)
		return f.token()
	}
}

func inHeader(f *forger) members  { return f.header }
func inPayload(f *forger) members { return f.payload }

// raw changes a good token's text.
func raw(change func(token string) string) func(*forger) string {
	return func(f *forger) string { return change(f.token()) }
}

func replace(n int, segment string) func(*forger) string {
	return raw(func(token string) string {
		segments := strings.Split(token, ".")
		segments[n] = segment
		return strings.Join(segments, ".")
	})
}

// The header decides on nothing.
func TestTokens_Verify_OddHeaders(t *testing.T) {
	t.Parallel()
	refused(t, "EdDSA", map[string]func(*forger) string{
		"TypMissing":       without(inHeader, "typ"),
		"TypJWT":           set(inHeader, "typ", "JWT"),
		"TypUpper":         set(inHeader, "typ", "AT+JWT"),
		"TypNull":          set(inHeader, "typ", nil),
		"TypList":          set(inHeader, "typ", []string{"at+jwt"}),
		"Crit":             set(inHeader, "crit", []string{"exp"}),
		"CritUnknown":      set(inHeader, "crit", []string{"https://example.com/x"}),
		"CritEmpty":        set(inHeader, "crit", []string{}),
		"CritNull":         set(inHeader, "crit", nil),
		"CritB64":          func(f *forger) string { f.header["b64"] = false; return set(inHeader, "crit", []string{"b64"})(f) },
		"KidMissing":       without(inHeader, "kid"),
		"KidEmpty":         set(inHeader, "kid", ""),
		"KidNull":          set(inHeader, "kid", nil),
		"KidNumber":        set(inHeader, "kid", 1),
		"KidUnknown":       set(inHeader, "kid", b64(NewSecret())),
		"KidInjection":     set(inHeader, "kid", "' OR true --"),
		"KidPath":          set(inHeader, "kid", "../../../dev/null"),
		"AlgMissing":       without(inHeader, "alg"),
		"AlgNull":          set(inHeader, "alg", nil),
		"AlgOfAnotherKind": set(inHeader, "alg", "ES256"),
		"AlgUnknown":       set(inHeader, "alg", "XX999"),
		"AlgLower":         set(inHeader, "alg", "eddsa"),
		"HeaderNotJSON":    func(f *forger) string { return f.signed("at+jwt", f.json(f.payload)) },
		"HeaderList":       func(f *forger) string { return f.signed("[]", f.json(f.payload)) },
		"HeaderNull":       func(f *forger) string { return f.signed("null", f.json(f.payload)) },
		"HeaderAndMore":    func(f *forger) string { return f.signed(f.json(f.header)+"{}", f.json(f.payload)) },
	})
}

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

func (f *forger) pkix() []byte {
	der, err := x509.MarshalPKIXPublicKey(f.keys.signing().verify)
	require.NoError(f.t, err)
	return der
}

func TestTokens_Verify_OddClaims(t *testing.T) {
	t.Parallel()
	at := start.Truncate(time.Second).Unix()
	refused(t, "EdDSA", map[string]func(*forger) string{
		"IssMissing":      without(inPayload, "iss"),
		"IssOther":        set(inPayload, "iss", "https://eve.example.com"),
		"IssSlash":        set(inPayload, "iss", issuer+"/"),
		"IssUpper":        set(inPayload, "iss", strings.ToUpper(issuer)),
		"IssList":         set(inPayload, "iss", []string{issuer}),
		"AudMissing":      without(inPayload, "aud"),
		"AudOther":        set(inPayload, "aud", []string{"other"}),
		"AudOtherText":    set(inPayload, "aud", "other"),
		"AudEmpty":        set(inPayload, "aud", []string{}),
		"AudUpper":        set(inPayload, "aud", strings.ToUpper(audience)),
		"AudPart":         set(inPayload, "aud", audience+" other"),
		"AudNumber":       set(inPayload, "aud", 1),
		"ExpMissing":      without(inPayload, "exp"),
		"ExpNull":         set(inPayload, "exp", nil),
		"ExpTrue":         set(inPayload, "exp", true),
		"ExpNow":          set(inPayload, "exp", at),
		"ExpPast":         set(inPayload, "exp", at-1),
		"ExpZero":         set(inPayload, "exp", 0),
		"ExpNegative":     set(inPayload, "exp", -1),
		"NbfMissing":      without(inPayload, "nbf"),
		"NbfFuture":       set(inPayload, "nbf", at+1),
		"NbfFarFuture":    set(inPayload, "nbf", at+1_000_000_000),
		"IatFuture":       set(inPayload, "iat", at+1),
		"SubMissing":      without(inPayload, "sub"),
		"SubEmpty":        set(inPayload, "sub", ""),
		"SubName":         set(inPayload, "sub", "ada"),
		"SubNumber":       set(inPayload, "sub", 1),
		"SidMissing":      without(inPayload, "sid"),
		"SidEmpty":        set(inPayload, "sid", ""),
		"SidName":         set(inPayload, "sid", "session"),
		"ScopeList":       set(inPayload, "scope", []string{"credits:read"}),
		"RoleNumber":      set(inPayload, "role", 1),
		"PayloadEmpty":    func(f *forger) string { return f.signed(f.json(f.header), "") },
		"PayloadObject":   func(f *forger) string { return f.signed(f.json(f.header), "{}") },
		"PayloadNull":     func(f *forger) string { return f.signed(f.json(f.header), "null") },
		"PayloadList":     func(f *forger) string { return f.signed(f.json(f.header), "["+f.json(f.payload)+"]") },
		"PayloadText":     func(f *forger) string { return f.signed(f.json(f.header), `"at+jwt"`) },
		"PayloadAndMore":  func(f *forger) string { return f.signed(f.json(f.header), f.json(f.payload)+"{}") },
		"PayloadNotClose": func(f *forger) string { return f.signed(f.json(f.header), strings.TrimSuffix(f.json(f.payload), "}")) },
	})
}

func TestTokens_Verify_OddShapes(t *testing.T) {
	t.Parallel()
	segment := func(n int, change func(string) string) func(*forger) string {
		return raw(func(token string) string {
			segments := strings.Split(token, ".")
			segments[n] = change(segments[n])
			return strings.Join(segments, ".")
		})
	}
	cases := map[string]func(*forger) string{
		"Empty":         raw(func(string) string { return "" }),
		"Dots":          raw(func(string) string { return ".." }),
		"OnePart":       raw(func(token string) string { return strings.Split(token, ".")[0] }),
		"TwoParts":      raw(func(token string) string { return token[:strings.LastIndexByte(token, '.')] }),
		"FourParts":     raw(func(token string) string { return token + "." }),
		"FiveParts":     raw(func(token string) string { return token + ".e30.e30" }),
		"DotBefore":     raw(func(token string) string { return "." + token }),
		"SpaceBefore":   raw(func(token string) string { return " " + token }),
		"SpaceAfter":    raw(func(token string) string { return token + " " }),
		"TabAfter":      raw(func(token string) string { return token + "\t" }),
		"NULAfter":      raw(func(token string) string { return token + "\x00" }),
		"Scheme":        raw(func(token string) string { return "Bearer " + token }),
		"Twice":         raw(func(token string) string { return token + token }),
		"TooLong":       func(f *forger) string { f.payload["pad"] = strings.Repeat("x", maxLength); return f.token() },
		"MuchTooLong":   raw(func(token string) string { return token + strings.Repeat(".", 1_000_000) }),
		"HeaderEmpty":   replace(0, ""),
		"PayloadEmpty":  replace(1, ""),
		"NotBase64":     segment(2, func(s string) string { return "!" + s[1:] }),
		"Padded":        segment(2, func(s string) string { return s + "==" }),
		"PaddedPayload": segment(1, func(s string) string { return s + strings.Repeat("=", (4-len(s)%4)%4) + "=" }),
		// The last of 86 characters holds four bits that count and two that must be zero.
		"NotStrictSignature": segment(2, func(s string) string {
			const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
			last := strings.IndexByte(digits, s[len(s)-1])
			return s[:len(s)-1] + string(digits[last|1])
		}),
		"StandardAlphabet": func(f *forger) string {
			for {
				token := f.token()
				dot := strings.LastIndexByte(token, '.')
				if signature := token[dot:]; strings.ContainsAny(signature, "-_") {
					return token[:dot] + strings.NewReplacer("-", "+", "_", "/").Replace(signature)
				}
				f.payload["jti"] = b64(NewSecret())
			}
		},
	}
	refused(t, "EdDSA", cases)
}

// refused runs each case on its own and expects the one answer to all of them.
func refused(t *testing.T, algorithm string, cases map[string]func(*forger) string) {
	t.Helper()
	b := setup(t, algorithm)
	for name, make := range cases {
		t.Run(name, func(t *testing.T) {
			f := newForger(t, b)
			_, err := b.Verify(t.Context(), f.token())
			require.NoError(t, err, "the forger must be able to make a good one")

			token := make(f)
			got, err := b.Verify(t.Context(), token)
			require.ErrorIs(t, err, ErrInvalid, token)
			require.Zero(t, got)
		})
	}
}

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
	}
	// Key references are ignored, and nothing is fetched: no such host exists.
	for _, name := range []string{"jku", "x5u", "jwk", "x5c"} {
		cases["Ignores_"+name] = set(inHeader, name, "https://nowhere.invalid/keys")
	}
	for name, make := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := b.Verify(t.Context(), make(newForger(t, b)))
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(subject, got))
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
		for len(f.token()) < maxLength-20+pad {
			f.payload["pad"] = f.payload["pad"].(string) + "x"
		}
		token := f.token()
		lengths[len(token)] = true
		_, err := b.Verify(t.Context(), token)
		if len(token) <= maxLength {
			require.NoError(t, err, len(token))
		} else {
			require.ErrorIs(t, err, ErrInvalid, len(token))
		}
	}
	require.True(t, lengths[maxLength] || lengths[maxLength-1], "none as long as it may be")
	require.True(t, lengths[maxLength+1] || lengths[maxLength+2], "none just longer")
}
