package tokens

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"math/big"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"

	"github.com/authservice/authservice/api/accesstoken"
)

// Algorithms are the JWS algorithms that can be chosen (RFC 7518, RFC 8037).
var Algorithms = []string{"EdDSA", "ES256", "RS256", "HS256"}

// JWK is a public key (RFC 7517).
type JWK = accesstoken.JWK

// key is one signing key, ready for use. Its algorithm is fixed with it.
type key struct {
	accesstoken.Key
	kid    string
	header string // the first segment of its tokens
	sign   any    // what Method.Sign takes
	jwk    *JWK
}

// generate makes a new key and the bytes to store of it.
func generate(algorithm string) (*key, []byte, error) {
	var private crypto.Signer
	var err error
	switch algorithm {
	case "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256":
		private, err = rsa.GenerateKey(rand.Reader, 3072)
	case "HS256":
		secret := NewSecret()
		return secretKey(secret), secret, nil
	default:
		return nil, nil, fmt.Errorf("unknown algorithm %q", algorithm)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("generating a signing key: %w", err)
	}
	stored, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding a signing key: %w", err)
	}
	k, err := publicKey(algorithm, private)
	return k, stored, err
}

// restore is the inverse of generate's stored bytes.
func restore(algorithm string, stored []byte) (*key, error) {
	if algorithm == "HS256" {
		return secretKey(stored), nil
	}
	private, err := x509.ParsePKCS8PrivateKey(stored)
	if err != nil {
		return nil, fmt.Errorf("decoding a signing key: %w", err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a %T cannot sign", private)
	}
	return publicKey(algorithm, signer)
}

func secretKey(secret []byte) *key {
	// The kid of a secret must not tell it: a hash of a hash.
	sum := sha256.Sum256(secret)
	sum = sha256.Sum256(append([]byte("kid"), sum[:]...))
	k := &key{Key: accesstoken.Key{Method: jwt.SigningMethodHS256, Public: secret}, sign: secret}
	k.named(b64(sum[:]))
	return k
}

func publicKey(algorithm string, private crypto.Signer) (*key, error) {
	k := &key{Key: accesstoken.Key{Method: jwt.GetSigningMethod(algorithm), Public: private.Public()}, sign: private}
	jwk := JWK{Use: "sig", Alg: algorithm}
	switch public := private.Public().(type) {
	case ed25519.PublicKey:
		jwk.Kty, jwk.Crv, jwk.X = "OKP", "Ed25519", b64(public)
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 0x04, x, y
		if err != nil {
			return nil, fmt.Errorf("encoding a public key: %w", err)
		}
		jwk.Kty, jwk.Crv, jwk.X, jwk.Y = "EC", "P-256", b64(point[1:33]), b64(point[33:])
	case *rsa.PublicKey:
		jwk.Kty, jwk.N, jwk.E = "RSA", b64(public.N.Bytes()), b64(big.NewInt(int64(public.E)).Bytes())
	default:
		return nil, fmt.Errorf("a %T is not a public key of ours", public)
	}
	jwk.Kid = thumbprint(jwk)
	k.jwk = &jwk
	k.named(jwk.Kid)
	return k, nil
}

func (k *key) named(kid string) {
	k.kid = kid
	k.header, _ = accesstoken.Encode(accesstoken.Header{Algorithm: k.Method.Alg(), Type: accesstoken.Type, KeyID: kid}) // strings only: cannot fail
}

func b64(b []byte) string { return accesstoken.Encoding.EncodeToString(b) }

// thumbprint is RFC 7638: SHA-256 over the required members, in lexical order.
func thumbprint(k JWK) string {
	var members any
	switch k.Kty {
	case "OKP":
		members = struct {
			Crv string `json:"crv"`
			Kty string `json:"kty"`
			X   string `json:"x"`
		}{k.Crv, k.Kty, k.X}
	case "EC":
		members = struct {
			Crv string `json:"crv"`
			Kty string `json:"kty"`
			X   string `json:"x"`
			Y   string `json:"y"`
		}{k.Crv, k.Kty, k.X, k.Y}
	default:
		members = struct {
			E   string `json:"e"`
			Kty string `json:"kty"`
			N   string `json:"n"`
		}{k.E, k.Kty, k.N}
	}
	canonical, _ := json.Marshal(members) // strings only: cannot fail
	sum := sha256.Sum256(canonical)
	return b64(sum[:])
}
