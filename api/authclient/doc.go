// Package authclient is the Go client of Auth Service, generated from
// api/openapi.yaml. It needs nothing of the server.
package authclient
