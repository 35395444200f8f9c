package tokens

import (
	"strings"
	"testing"
	"time"
)

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
		"NbfFuture":       set(inPayload, "nbf", at+6),
		"NbfFarFuture":    set(inPayload, "nbf", at+1_000_000_000),
		"IatFuture":       set(inPayload, "iat", at+6),
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
