// Package authtest makes access tokens for the tests of services that verify
// them, without a running Auth Service.
package authtest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/authservice/authservice/api/accesstoken"
	"github.com/authservice/authservice/api/authclient"
)

// Issuer signs access tokens as Auth Service does, and publishes its key at URL
// for an [authclient.Verifier]. Close it when the test ends.
type Issuer struct {
	*httptest.Server

	mu     sync.Mutex
	kid    string
	key    ed25519.PrivateKey
	public []accesstoken.JWK
}

// NewIssuer starts an issuer.
func NewIssuer() *Issuer {
	i := &Issuer{}
	i.Rotate()
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": i.public})
	}))
	return i
}

// Rotate makes a new key, which signs from now on; those of before are published
// no longer.
func (i *Issuer) Rotate() {
	public, private, _ := ed25519.GenerateKey(rand.Reader) // never fails
	i.mu.Lock()
	defer i.mu.Unlock()
	i.kid, i.key = rand.Text(), private
	i.public = []accesstoken.JWK{{
		Kty: "OKP", Crv: "Ed25519", X: accesstoken.Encoding.EncodeToString(public), Kid: i.kid, Use: "sig", Alg: "EdDSA",
	}}
}

// Token signs a token about somebody, for the default audience. Ids that are
// zero are drawn at random, a time that is zero is in 15 minutes.
func (i *Issuer) Token(of authclient.Identity) string {
	for _, id := range []*uuid.UUID{&of.UserID, &of.SessionID} {
		if *id == uuid.Nil {
			*id = uuid.New()
		}
	}
	if of.ExpiresAt.IsZero() {
		of.ExpiresAt = time.Now().Add(15 * time.Minute)
	}
	scope := ""
	for n, s := range of.Scopes {
		if n > 0 {
			scope += " "
		}
		scope += string(s)
	}
	issued := min(time.Now().Unix(), of.ExpiresAt.Unix()-1)
	return i.Sign(accesstoken.Claims{
		Issuer: i.URL, Audience: accesstoken.Audiences{authclient.DefaultAudience}, Subject: of.UserID.String(),
		ExpiresAt: of.ExpiresAt.Unix(), IssuedAt: issued, NotBefore: issued, ID: uuid.NewString(),
		ClientID: authclient.DefaultAudience, SessionID: of.SessionID.String(), Scope: scope, Role: string(of.Role),
	})
}

// Sign signs any claims, for tests of tokens that are not good.
func (i *Issuer) Sign(claims accesstoken.Claims) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	header, _ := accesstoken.Encode(accesstoken.Header{Algorithm: "EdDSA", Type: accesstoken.Type, KeyID: i.kid}) // strings only
	payload, err := accesstoken.Encode(claims)
	if err != nil {
		panic(err) // text that is not UTF-8
	}
	text := header + "." + payload
	signature, _ := jwt.SigningMethodEdDSA.Sign(text, i.key) // the key fits the method
	return text + "." + accesstoken.Encoding.EncodeToString(signature)
}
