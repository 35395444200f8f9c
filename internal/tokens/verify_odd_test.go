package tokens

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/authservice/authservice/api/accesstoken"
)

// The header decides on nothing.
func TestTokens_Verify_OddHeaders(t *testing.T) {
	t.Parallel()
	refused(t, "EdDSA", map[string]func(*forger) string{
		"TypMissing":       without(inHeader, "typ"),
		"TypJWT":           set(inHeader, "typ", "JWT"),
		"TypUpper":         set(inHeader, "typ", "AT+JWT"),
		"TypLong":          set(inHeader, "typ", "application/at+jwt"),
		"TypSpace":         set(inHeader, "typ", "at+jwt "),
		"TypNull":          set(inHeader, "typ", nil),
		"TypList":          set(inHeader, "typ", []string{"at+jwt"}),
		"Crit":             set(inHeader, "crit", []string{"exp"}),
		"CritUnknown":      set(inHeader, "crit", []string{"https://example.com/x"}),
		"CritEmpty":        set(inHeader, "crit", []string{}),
		"CritNull":         set(inHeader, "crit", nil),
		"CritB64":          func(f *forger) string { f.header["b64"] = false; return set(inHeader, "crit", []string{"b64"})(f) },
		"B64False":         set(inHeader, "b64", false),
		"B64True":          set(inHeader, "b64", true),
		"B64Null":          set(inHeader, "b64", nil),
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
		"TwiceAlg":         inText(0, `{`, `{"alg":"none",`),
		"TwiceTyp":         inText(0, `{`, `{"typ":"at+jwt",`),
		"TwiceTypEscaped":  inText(0, `{`, `{"\u0074yp":"JWT",`),
		"TwiceOther":       inText(0, `{`, `{"x":1,"x":2,`),
		"TwiceInside":      inText(0, `{`, `{"x":{"y":1,"y":2},`),
		"CaseTyp":          inText(0, `"typ"`, `"Typ"`),
		"CaseTypBesides":   inText(0, `{`, `{"TYP":"JWT",`),
		"CaseAlgBesides":   inText(0, `{`, `{"Alg":"none",`),
		"CaseCrit":         inText(0, `{`, `{"CRIT":["exp"],`),
		"CaseB64":          inText(0, `{`, `{"B64":false,`),
		"CaseKelvin":       inText(0, `{`, `{"\u212aid":"x",`),
		"NotUTF8":          inText(0, `{`, "{\"x\":\"\xff\","),
		"HalfASurrogate":   inText(0, `{`, `{"x":"\ud800",`),
		"NULInside":        inText(0, `{`, "{\x00"),
		"ByteOrderMark":    inText(0, `{`, "\ufeff{"),
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
		"ExpText":         set(inPayload, "exp", strconv.FormatInt(at+60, 10)),
		"ExpFraction":     number("exp", "%d.5", at+60),
		"ExpFractionZero": number("exp", "%d.0", at+60),
		"ExpExponent":     number("exp", "%de0", at+60),
		"ExpHuge":         number("exp", "%d000000", at),
		"ExpHugest":       number("exp", "%d", math.MaxInt64),
		"ExpHugerStill":   number("exp", "%d0", math.MaxInt64),
		"ExpInfinite":     number("exp", "1e400", 0),
		"Exp9e18":         number("exp", "9e18", 0),
		"ExpHex":          number("exp", "0x%x", at+60),
		"ExpLeadingZero":  number("exp", "0%d", at+60),
		"ExpPlus":         number("exp", "+%d", at+60),
		"ExpList":         set(inPayload, "exp", []int64{at + 60}),
		"IatMissing":      without(inPayload, "iat"),
		"IatNull":         set(inPayload, "iat", nil),
		"IatText":         set(inPayload, "iat", strconv.FormatInt(at, 10)),
		"IatFraction":     number("iat", "%d.5", at-1),
		"IatZero":         set(inPayload, "iat", 0),
		"IatNegative":     set(inPayload, "iat", -1),
		"IatSmallest":     number("iat", "%d", math.MinInt64),
		"IatHugest":       number("iat", "%d", math.MaxInt64),
		"NbfNull":         set(inPayload, "nbf", nil),
		"NbfText":         set(inPayload, "nbf", strconv.FormatInt(at, 10)),
		"NbfFraction":     number("nbf", "%d.5", at-1),
		"NbfZero":         set(inPayload, "nbf", 0),
		"NbfNegative":     set(inPayload, "nbf", -1),
		"NbfHugest":       number("nbf", "%d", math.MaxInt64),
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
		"SubNull":         set(inPayload, "sub", nil),
		"SubUpper":        set(inPayload, "sub", strings.ToUpper(subject.UserID.String())),
		"SubURN":          set(inPayload, "sub", subject.UserID.URN()),
		"SubBraces":       set(inPayload, "sub", "{"+subject.UserID.String()+"}"),
		"SubBare":         set(inPayload, "sub", strings.ReplaceAll(subject.UserID.String(), "-", "")),
		"SubSpace":        set(inPayload, "sub", subject.UserID.String()+" "),
		"SidNull":         set(inPayload, "sid", nil),
		"SidUpper":        set(inPayload, "sid", strings.ToUpper(subject.SessionID.String())),
		"SidURN":          set(inPayload, "sid", subject.SessionID.URN()),
		"SidBare":         set(inPayload, "sid", strings.ReplaceAll(subject.SessionID.String(), "-", "")),
		"JtiMissing":      without(inPayload, "jti"),
		"JtiEmpty":        set(inPayload, "jti", ""),
		"JtiNull":         set(inPayload, "jti", nil),
		"JtiNumber":       set(inPayload, "jti", 1),
		"AudNull":         set(inPayload, "aud", nil),
		"AudWithNumber":   set(inPayload, "aud", []any{audience, 1}),
		"AudWithNull":     set(inPayload, "aud", []any{audience, nil}),
		"AudInside":       set(inPayload, "aud", []any{[]string{audience}}),
		"AudObject":       set(inPayload, "aud", members{audience: true}),
		"CaseExp":         inText(1, `"exp"`, `"EXP"`),
		"CaseExpBesides":  inText(1, `{`, `{"EXP":1,`),
		"CaseSub":         inText(1, `"sub"`, `"Sub"`),
		"CaseSubBesides":  inText(1, `{`, `{"Sub":"x",`),
		"CaseLongS":       inText(1, `{`, `{"\u017fub":"x",`),
		"CaseRole":        inText(1, `{`, `{"ROLE":"admin",`),
		"TwiceSub":        inText(1, `{`, `{"sub":"019ab5c3-8e21-7d05-b7c2-000000000000",`),
		"TwiceSubEscaped": inText(1, `{`, `{"\u0073ub":"019ab5c3-8e21-7d05-b7c2-000000000000",`),
		"TwiceExp":        inText(1, `}`, `,"exp":99999999999}`),
		"TwiceTheSame":    inText(1, `{`, `{"role":"admin",`),
		"TwiceOther":      inText(1, `{`, `{"x":1,"x":1,`),
		"TwiceInside":     inText(1, `{`, `{"x":[{"y":1,"y":2}],`),
		"NotUTF8":         inText(1, `{`, "{\"x\":\"\xc0\xaf\","),
		"HalfASurrogate":  inText(1, `{`, `{"x":"\udc00",`),
		"Comment":         inText(1, `{`, `{/**/`),
		"TrailingComma":   inText(1, `}`, `,}`),
		"NotANumber":      inText(1, `{`, `{"x":NaN,`),
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
		"Empty":       raw(func(string) string { return "" }),
		"Dots":        raw(func(string) string { return ".." }),
		"OnePart":     raw(func(token string) string { return strings.Split(token, ".")[0] }),
		"TwoParts":    raw(func(token string) string { return token[:strings.LastIndexByte(token, '.')] }),
		"FourParts":   raw(func(token string) string { return token + "." }),
		"FiveParts":   raw(func(token string) string { return token + ".e30.e30" }),
		"DotBefore":   raw(func(token string) string { return "." + token }),
		"SpaceBefore": raw(func(token string) string { return " " + token }),
		"SpaceAfter":  raw(func(token string) string { return token + " " }),
		"TabAfter":    raw(func(token string) string { return token + "\t" }),
		"NULAfter":    raw(func(token string) string { return token + "\x00" }),
		"Scheme":      raw(func(token string) string { return "Bearer " + token }),
		"Twice":       raw(func(token string) string { return token + token }),
		"TooLong": func(f *forger) string {
			f.payload["pad"] = strings.Repeat("x", accesstoken.MaxLength)
			return f.token()
		},
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
