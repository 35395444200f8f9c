package accesstoken

import (
	"encoding/base64"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Type marks access tokens (RFC 9068, section 2.1). The section allows
// "application/at+jwt" as well, which is never issued and so not taken.
const Type = "at+jwt"

// The JSON of a token is read here, not by golang-jwt, which takes members in
// any case and twice, and dates as text, with fractions or of any size. Here
// names are exact and unique, types are those that are written, and text is UTF-8.

// Header is what of a header decides on something. jku, jwk, x5u and x5c do
// not: keys are found by their id alone, and nothing is ever fetched.
type Header struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
	KeyID     string `json:"kid"`
	// Extensions that must be understood (RFC 7515, section 4.1.11, RFC 7797): we know none.
	Critical jsontext.Value            `json:"crit,omitzero"`
	Base64   jsontext.Value            `json:"b64,omitzero"`
	Other    map[string]jsontext.Value `json:",unknown"`
}

var headerNames = []string{"alg", "typ", "kid", "crit", "b64"}

func (h *Header) good() bool {
	return h.Type == Type && h.Critical == nil && h.Base64 == nil && exact(h.Other, headerNames)
}

// Claims are those of RFC 9068, with the session (sid) and the role.
type Claims struct {
	Issuer    string                    `json:"iss"`
	Audience  Audiences                 `json:"aud"`
	Subject   string                    `json:"sub"`
	ExpiresAt int64                     `json:"exp"` // Unix times, in seconds
	IssuedAt  int64                     `json:"iat"`
	NotBefore int64                     `json:"nbf"`
	ID        string                    `json:"jti"`
	ClientID  string                    `json:"client_id"`
	SessionID string                    `json:"sid"`
	Scope     string                    `json:"scope"`
	Role      string                    `json:"role"`
	Other     map[string]jsontext.Value `json:",unknown"`
}

var claimNames = []string{"iss", "aud", "sub", "exp", "iat", "nbf", "jti", "client_id", "sid", "scope", "role"}

// exact reports whether none of the other members is a known one in another
// case, which another reader of the same token may take for it. Other members
// are ignored, so that a coming version may add some.
func exact(other map[string]jsontext.Value, known []string) bool {
	for name := range other {
		for _, k := range known {
			if strings.EqualFold(name, k) {
				return false
			}
		}
	}
	return true
}

// Audiences may be one text instead of a list of them (RFC 7519, section 4.1.3).
type Audiences []string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (a *Audiences) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '"' {
		return json.UnmarshalDecode(d, (*[]string)(a))
	}
	text, err := d.ReadToken()
	*a = Audiences{text.String()}
	return err
}

// Encoding is base64url without padding (RFC 7515, section 2), in one form only.
var Encoding = base64.RawURLEncoding.Strict()

// Encode writes a header or claims as a segment of a token.
func Encode(segment any) (string, error) {
	text, err := json.Marshal(segment)
	return Encoding.EncodeToString(text), err
}

// decode is the inverse of Encode.
func decode(segment string, into any) error {
	text, err := Encoding.DecodeString(segment)
	if err != nil {
		return errShape
	}
	if err := json.Unmarshal(text, into); err != nil {
		return errShape // What the parser says may hold what it read.
	}
	return nil
}
