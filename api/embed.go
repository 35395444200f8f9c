// Package api holds the contract: openapi.yaml, written by hand, from which the
// server interfaces and the clients are generated, and which the service
// publishes and validates every request against.
package api

import _ "embed"

// OpenAPIYAML is the OpenAPI 3.0.3 document as it is written.
//
//go:embed openapi.yaml
var OpenAPIYAML []byte
