package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
	"github.com/labstack/echo/v4"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/identity"
)

// Names of the contract that the gate lives by.
const (
	schemeBearer   = "bearerAuth"
	schemeAPIKey   = "apiKeyAuth"
	extensionScope = "x-required-scope"
	extensionRole  = "x-required-role"
)

var errAuthenticationRequired = apperr.New(apperr.Unauthenticated, "authentication_required", "This operation needs an access token or an API key.")

// gate lets a request pass to its handler if the contract allows it.
type gate struct {
	identity *identity.Service
	maxBody  int64
	// operations are found by Echo's route and the method.
	operations map[string]map[string]*operation
}

// operation is one operation of the contract, prepared.
type operation struct {
	route      *routers.Route
	bearer     bool   // takes an access token
	apiKey     bool   // takes an API key
	scope      string // that the caller must have, if any
	adminOnly  bool
	body       *openapi3.Schema // nil where no body is taken
	movesMoney bool             // needs an Idempotency-Key
}

var pathParameter = regexp.MustCompile(`\{([a-z_]+)\}`)

// newGate prepares the contract's operations. It fails where the contract
// leaves open who may call one.
func newGate(doc *openapi3.T, id *identity.Service, maxBody int64) (*gate, error) {
	g := &gate{identity: id, maxBody: maxBody, operations: map[string]map[string]*operation{}}
	for path, item := range doc.Paths.Map() {
		methods := map[string]*operation{}
		for method, spec := range item.Operations() {
			op, err := newOperation(&routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: spec})
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			methods[method] = op
		}
		g.operations[pathParameter.ReplaceAllString(path, ":$1")] = methods
	}
	return g, nil
}

func newOperation(route *routers.Route) (*operation, error) {
	op := &operation{route: route}
	security := route.Operation.Security
	if security == nil {
		security = &route.Spec.Security
	}
	for _, requirement := range *security {
		for scheme := range requirement {
			op.bearer = op.bearer || scheme == schemeBearer
			op.apiKey = op.apiKey || scheme == schemeAPIKey
		}
	}
	// A misspelt rule must not be no rule.
	if scope, demanded := route.Operation.Extensions[extensionScope]; demanded {
		if op.scope, _ = scope.(string); !slices.Contains(identity.Scopes, op.scope) {
			return nil, fmt.Errorf("%s names no scope that there is", extensionScope)
		}
	}
	if role, demanded := route.Operation.Extensions[extensionRole]; demanded {
		if op.adminOnly = role == identity.RoleAdmin; !op.adminOnly {
			return nil, fmt.Errorf("%s can only be %s", extensionRole, identity.RoleAdmin)
		}
	}
	if op.apiKey && op.scope == "" {
		return nil, fmt.Errorf("takes API keys, but names no %s", extensionScope)
	}
	if (op.scope != "" || op.adminOnly) && !op.bearer {
		return nil, errors.New("demands a scope or a role of nobody")
	}
	if body := route.Operation.RequestBody; body != nil {
		op.body = body.Value.Content.Get(echo.MIMEApplicationJSON).Schema.Value
	}
	op.movesMoney = route.Operation.Parameters.GetByInAndName(openapi3.ParameterInHeader, headerIdempotencyKey) != nil
	return op, nil
}

// pass is the middleware. Who asks is settled before anything of the request is
// looked at, and whether they may before whether they ask well.
func (g *gate) pass(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		req := c.Request()
		op := g.operations[c.Path()][req.Method]
		if op == nil {
			return next(c) // no such route, or one outside the contract
		}
		call := callOf(req.Context())
		call.operation = op.route.Operation.OperationID
		if op.bearer {
			caller, err := g.authenticate(req, op)
			if err != nil {
				return err
			}
			call.caller = caller
			c.SetRequest(req.WithContext(audit.WithSource(req.Context(), call.source())))
			if err := op.authorize(caller); err != nil {
				return err
			}
		}
		if err := op.validate(c, call, g.maxBody); err != nil {
			return err
		}
		return next(c)
	}
}

func (g *gate) authenticate(req *http.Request, op *operation) (identity.Caller, error) {
	if scheme, token, _ := strings.Cut(req.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return g.identity.AuthenticateToken(req.Context(), token)
	}
	if key := req.Header.Get("X-API-Key"); key != "" && op.apiKey {
		return g.identity.AuthenticateKey(req.Context(), key)
	}
	return identity.Caller{}, errAuthenticationRequired
}

func (op *operation) authorize(caller identity.Caller) error {
	switch {
	case op.adminOnly && !caller.IsAdmin():
		return identity.ErrAdminRequired
	case op.scope != "" && !caller.Has(op.scope):
		return apperr.New(apperr.Forbidden, "insufficient_scope", "This operation needs the scope "+op.scope+".")
	}
	return nil
}
