// Package accesstoken reads and verifies access tokens, which are JWTs as
// RFC 9068 profiles them. The service and its Go client share it, so that both
// take exactly the same tokens.
//
// golang-jwt checks signatures; what a token says is read strictly, here. The
// package fetches nothing, knows no keys of its own, and never lets a token
// choose how it is verified. It imports nothing of ours.
package accesstoken
