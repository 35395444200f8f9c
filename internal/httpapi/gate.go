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
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/identity"
	"github.com/authservice/authservice/internal/pgdb"
)

// Names of the contract that the gate lives by.
const (
	schemeBearer = "bearerAuth"
	schemeAPIKey = "apiKeyAuth"
	// extensionScope names the scope that the caller must have.
	extensionScope = "x-required-scope"
	// extensionScopes says which scope each part of the body asks for; see itemScopes.
	extensionScopes = "x-required-scopes"
	// extensionOwner names a path parameter: the user with this id needs no scope.
	extensionOwner = "x-or-owner"
	extensionRole  = "x-required-role"
	// extensionMaxBody is the size of the largest body, where it is not that of every other.
	extensionMaxBody = "x-max-body-bytes"
)

// largestBody bounds what the contract may allow an operation to be sent, in bytes.
const largestBody = 16 << 20

var errAuthenticationRequired = apperr.New(apperr.Unauthenticated, "authentication_required", "This operation needs an access token or an API key.")

// gate lets a request pass to its handler if the contract allows it.
type gate struct {
	identity *identity.Service
	// operations are found by Echo's route and the method.
	operations map[string]map[string]*operation
}

// operation is one operation of the contract, prepared.
type operation struct {
	route        *routers.Route
	bearer       bool        // takes an access token
	apiKey       bool        // takes an API key
	scope        string      // that the caller must have, if any
	itemScopes   *itemScopes // that parts of the body ask for, if any
	owner        string      // the path parameter with the user who needs no scope, if any
	adminOnly    bool
	body         *openapi3.Schema // nil where no body is looked at
	bodyRequired bool
	maxBody      int64 // bytes
	movesMoney   bool  // needs an Idempotency-Key
}

var pathParameter = regexp.MustCompile(`\{([a-z_]+)\}`)

// newGate prepares the contract's operations. It fails where the contract
// leaves open who may call one.
func newGate(doc *openapi3.T, id *identity.Service, maxBody int64) (*gate, error) {
	g := &gate{identity: id, operations: map[string]map[string]*operation{}}
	for path, item := range doc.Paths.Map() {
		methods := map[string]*operation{}
		for method, spec := range item.Operations() {
			op, err := newOperation(&routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: spec}, maxBody)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			methods[method] = op
		}
		g.operations[pathParameter.ReplaceAllString(path, ":$1")] = methods
	}
	return g, nil
}

func newOperation(route *routers.Route, maxBody int64) (*operation, error) {
	op := &operation{route: route, maxBody: maxBody}
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
	if err := op.readExtensions(route.Operation.Extensions); err != nil {
		return nil, err
	}
	scoped := op.scope != "" || op.itemScopes != nil
	switch {
	case op.apiKey && !scoped:
		return nil, fmt.Errorf("takes API keys, but names no %s", extensionScope)
	case (scoped || op.adminOnly) && !op.bearer:
		return nil, errors.New("demands a scope or a role of nobody")
	case op.owner != "" && (op.scope == "" || !strings.Contains(route.Path, "{"+op.owner+"}")):
		return nil, fmt.Errorf("%s excepts nobody", extensionOwner)
	}
	op.movesMoney = route.Operation.Parameters.GetByInAndName(openapi3.ParameterInHeader, headerIdempotencyKey) != nil
	if body := route.Operation.RequestBody; body != nil {
		op.body, op.bodyRequired = body.Value.Content.Get(echo.MIMEApplicationJSON).Schema.Value, body.Value.Required
	} else if op.movesMoney {
		op.body = noMembers
	}
	return op, nil
}

// noMembers is the body of operations that take none: what somebody writes into
// one must not be overlooked where credits move.
var noMembers = openapi3.NewObjectSchema().WithoutAdditionalProperties()

// readExtensions reads our own rules. A misspelt one must not be no rule.
func (op *operation) readExtensions(extensions map[string]any) (err error) {
	if scope, demanded := extensions[extensionScope]; demanded {
		if op.scope, _ = scope.(string); !slices.Contains(identity.Scopes, op.scope) {
			return fmt.Errorf("%s names no scope that there is", extensionScope)
		}
	}
	if scopes, demanded := extensions[extensionScopes]; demanded {
		if op.itemScopes, err = newItemScopes(scopes); err != nil {
			return fmt.Errorf("%s: %w", extensionScopes, err)
		}
	}
	if role, demanded := extensions[extensionRole]; demanded {
		if op.adminOnly = role == identity.RoleAdmin; !op.adminOnly {
			return fmt.Errorf("%s can only be %s", extensionRole, identity.RoleAdmin)
		}
	}
	if owner, excepted := extensions[extensionOwner]; excepted {
		if op.owner, _ = owner.(string); op.owner == "" {
			return fmt.Errorf("%s names no parameter", extensionOwner)
		}
	}
	if limit, set := extensions[extensionMaxBody]; set {
		bytes, _ := limit.(float64)
		if op.maxBody = int64(bytes); float64(op.maxBody) != bytes || op.maxBody < 1 || op.maxBody > largestBody {
			return fmt.Errorf("%s must be a number of bytes up to %d", extensionMaxBody, largestBody)
		}
	}
	return nil
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
			if err := op.authorize(caller, c); err != nil {
				return err
			}
		}
		if err := op.validate(c, call); err != nil {
			return err
		}
		return next(c)
	}
}

func (g *gate) authenticate(req *http.Request, op *operation) (caller identity.Caller, err error) {
	ctx := req.Context()
	err = pgdb.Read(ctx, func() (err error) {
		if scheme, token, _ := strings.Cut(req.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
			caller, err = g.identity.AuthenticateToken(ctx, token)
			return err
		}
		if key := req.Header.Get("X-API-Key"); key != "" && op.apiKey {
			caller, err = g.identity.AuthenticateKey(ctx, key)
			return err
		}
		return errAuthenticationRequired
	})
	return caller, err
}

func (op *operation) authorize(caller identity.Caller, c echo.Context) error {
	switch {
	case op.adminOnly && !caller.IsAdmin():
		return identity.ErrAdminRequired
	case op.scope != "" && !caller.Has(op.scope) && !op.isOwner(caller, c):
		return needsScope(op.scope)
	case op.itemScopes != nil && !op.itemScopes.any(caller):
		return needsScope(op.itemScopes.names()...)
	}
	return nil
}

func (op *operation) isOwner(caller identity.Caller, c echo.Context) bool {
	if op.owner == "" || caller.IsKey() {
		return false
	}
	id, err := uuid.Parse(c.Param(op.owner))
	return err == nil && id == caller.UserID
}

// needsScope is for callers that have none of some scopes.
func needsScope(oneOf ...string) *apperr.Error {
	return apperr.New(apperr.Forbidden, "insufficient_scope", "This operation needs the scope "+strings.Join(oneOf, " or ")+".")
}
