// Package httpapi joins the contract to the domain. A request passes the
// middleware (middleware.go), the gate, which authenticates, authorises and
// validates it as api/openapi.yaml says (gate.go, validate.go, body.go), and reaches the
// generated handler, which calls a method here. Such a method converts, makes
// ONE domain call, and converts back; it decides nothing.
//
// Errors are returned, never written: problem.go turns every one into
// application/problem+json, in one place. Echo and the generated types stop in
// this package.
package httpapi
