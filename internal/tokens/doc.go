// Package tokens makes and checks access tokens, which are JWTs as RFC 9068
// profiles them, and keeps and rotates the keys that sign them: in the
// database, encrypted, so that replicas share them and a restart changes
// nothing.
//
// It takes only what it could have issued itself, as package accesstoken reads
// it, which the clients of the service share. It never fetches anything and
// never lets a token choose how it is verified. What a token's session or user
// may do is for package identity to decide.
package tokens
