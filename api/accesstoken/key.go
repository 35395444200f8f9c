package accesstoken

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"math/big"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// Key is what verifies signatures. Its algorithm is fixed with it.
type Key struct {
	Method jwt.SigningMethod
	Public any // what Method.Verify takes
}

// JWK is a public key (RFC 7517; RFC 8037 for Ed25519).
type JWK struct {
	Kty string `json:"kty"`
	Kid string `json:"kid"`
	Use string `json:"use"`
	Alg string `json:"alg"`
	Crv string `json:"crv,omitempty"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`
	N   string `json:"n,omitempty"`
	E   string `json:"e,omitempty"`
}

// ErrUnusable is the error of a JWK that is none of those that sign tokens.
var ErrUnusable = errors.New("not a signing key for EdDSA (Ed25519), ES256 or RS256")

// Key reads a public key. Its alg says what it verifies, and nothing else.
// Errors: ErrUnusable.
func (k JWK) Key() (*Key, error) {
	if k.Use != "sig" || k.Kid == "" {
		return nil, ErrUnusable
	}
	public, err := k.public()
	if err != nil {
		return nil, ErrUnusable
	}
	return &Key{Method: jwt.GetSigningMethod(k.Alg), Public: public}, nil
}

func (k JWK) public() (any, error) {
	switch [3]string{k.Kty, k.Crv, k.Alg} {
	case [3]string{"OKP", "Ed25519", "EdDSA"}:
		x, err := Encoding.DecodeString(k.X)
		if err != nil || len(x) != ed25519.PublicKeySize {
			return nil, ErrUnusable
		}
		return ed25519.PublicKey(x), nil
	case [3]string{"EC", "P-256", "ES256"}:
		x, errX := Encoding.DecodeString(k.X)
		y, errY := Encoding.DecodeString(k.Y)
		if errX != nil || errY != nil || len(x) != 32 || len(y) != 32 {
			return nil, ErrUnusable
		}
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	case [3]string{"RSA", "", "RS256"}:
		n, errN := Encoding.DecodeString(k.N)
		e, errE := Encoding.DecodeString(k.E)
		// Go refuses to verify with less than 1024 bits; nobody should with less than 2048.
		if errN != nil || errE != nil || len(n) < 256 || len(e) == 0 || len(e) > 4 {
			return nil, ErrUnusable
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
	}
	return nil, ErrUnusable
}
