package tokens

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
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
	return f.signedBy(k.Method, k.sign, header, payload)
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

// inText changes the JSON of the header (0) or the payload (1) once.
func inText(n int, from, to string) func(*forger) string {
	return func(f *forger) string {
		texts := []string{f.json(f.header), f.json(f.payload)}
		require.Contains(f.t, texts[n], from)
		texts[n] = strings.Replace(texts[n], from, to, 1)
		return f.signed(texts[0], texts[1])
	}
}

// number is a claim with a number written in a certain way.
func number(name, format string, value int64) func(*forger) string {
	return func(f *forger) string {
		text := format
		if strings.Contains(format, "%") {
			text = fmt.Sprintf(format, value)
		}
		delete(f.payload, name)
		return inText(1, `{`, fmt.Sprintf(`{%q:%s,`, name, text))(f)
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

// refused runs each case on its own and expects the one answer to all of them.
func refused(t *testing.T, algorithm string, cases map[string]func(*forger) string) {
	t.Helper()
	b := setup(t, algorithm)
	client := clientOf(t, b)
	for name, make := range cases {
		t.Run(name, func(t *testing.T) {
			f := newForger(t, b)
			good := f.token()
			_, err := b.Verify(t.Context(), good)
			require.NoError(t, err, "the forger must be able to make a good one")

			token := make(f)
			got, err := b.Verify(t.Context(), token)
			require.ErrorIs(t, err, ErrInvalid, token)
			require.Zero(t, got)

			if algorithm == "HS256" { // Nobody else can verify it.
				return
			}
			_, err = client.Verify(t.Context(), good)
			require.NoError(t, err, "the client takes a good one")
			_, err = client.Verify(t.Context(), token)
			require.ErrorIs(t, err, authclient.ErrInvalidToken, "the client is as strict")
		})
	}
}

// clientOf is the Go client's verifier of the service's tokens.
func clientOf(t *testing.T, b *bundle) *authclient.Verifier {
	t.Helper()
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(members{"keys": b.JWKS()})
	}))
	t.Cleanup(keys.Close)
	v, err := authclient.NewVerifier(keys.URL, authclient.WithIssuer(issuer), authclient.WithAudience(audience), authclient.WithClock(b.clock.now))
	require.NoError(t, err)
	return v
}

func (f *forger) pkix() []byte {
	der, err := x509.MarshalPKIXPublicKey(f.keys.signing().Public)
	require.NoError(f.t, err)
	return der
}
