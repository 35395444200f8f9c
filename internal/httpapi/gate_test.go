package httpapi

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/webui"
)

// What is served and what is documented are the same, but for the files of Swagger UI.
func TestRoutes_AreTheContract(t *testing.T) {
	t.Parallel()
	doc, err := loadContract()
	require.NoError(t, err)
	documented := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			documented[method+" "+pathParameter.ReplaceAllString(path, ":$1")] = true
		}
	}
	files := map[string]bool{}
	for _, path := range slices.Concat(webui.Docs("").Paths(), webui.Pages(webui.PagesOptions{}).Paths()) {
		files[path] = path != webui.DocsPath
	}

	handler, err := New(Options{})
	require.NoError(t, err)
	served := map[string]bool{}
	for _, route := range handler.(*echo.Echo).Routes() {
		if route.Method != http.MethodHead && !files[route.Path] {
			served[route.Method+" "+route.Path] = true
		}
	}
	require.Empty(t, cmp.Diff(documented, served))
}

// The gate refuses to work with a contract that leaves open who may call.
func TestGate_RefusesAnOpenQuestion(t *testing.T) {
	t.Parallel()
	bearer := openapi3.SecurityRequirement{schemeBearer: {}}
	apiKey := openapi3.SecurityRequirement{schemeAPIKey: {}}
	both := openapi3.SecurityRequirements{bearer, apiKey}
	items := func(more ...any) map[string]any {
		rule := map[string]any{"of-each": "operations", "by": "type", "scopes": map[string]any{"grant": "credits:grant"}}
		for i := 0; i < len(more); i += 2 {
			rule[more[i].(string)] = more[i+1]
		}
		return map[string]any{extensionScopes: rule}
	}
	owner := func(scope, parameter any) map[string]any {
		return map[string]any{extensionScope: scope, extensionOwner: parameter}
	}
	for name, test := range map[string]struct {
		security   openapi3.SecurityRequirements
		extensions map[string]any
		good       bool
	}{
		"Public":              {openapi3.SecurityRequirements{}, nil, true},
		"AnyPerson":           {openapi3.SecurityRequirements{bearer}, nil, true},
		"Scope":               {both, map[string]any{extensionScope: "credits:read"}, true},
		"Admin":               {openapi3.SecurityRequirements{bearer}, map[string]any{extensionRole: "admin"}, true},
		"KeyWithoutScope":     {both, nil, false},
		"ScopeOfNobody":       {openapi3.SecurityRequirements{}, map[string]any{extensionScope: "credits:read"}, false},
		"AdminOfNobody":       {openapi3.SecurityRequirements{}, map[string]any{extensionRole: "admin"}, false},
		"KeysOnlyForAnAdmin":  {openapi3.SecurityRequirements{apiKey}, map[string]any{extensionRole: "admin", extensionScope: "x"}, false},
		"UnknownRole":         {openapi3.SecurityRequirements{bearer}, map[string]any{extensionRole: "emperor"}, false},
		"UnknownScope":        {openapi3.SecurityRequirements{bearer}, map[string]any{extensionScope: "credits:steal"}, false},
		"ScopeThatIsNoString": {openapi3.SecurityRequirements{bearer}, map[string]any{extensionScope: []any{"credits:read"}}, false},

		"ScopeOfItems":          {both, items(), true},
		"ScopeOfItemsOfNobody":  {openapi3.SecurityRequirements{}, items(), false},
		"UnknownScopeOfItems":   {both, items("scopes", map[string]any{"grant": "credits:steal"}), false},
		"NoScopesOfItems":       {both, items("scopes", map[string]any{}), false},
		"ItemsWithoutAKind":     {both, items("by", ""), false},
		"ItemsWithAMisspelling": {both, items("off-each", "operations"), false},
		"ItemsThatAreNoRule":    {both, map[string]any{extensionScopes: []any{"credits:grant"}}, false},

		"OrOwner":               {both, owner("credits:read", "user_id"), true},
		"OwnerOfNothing":        {both, owner("credits:read", "account_id"), false},
		"OwnerThatIsNoString":   {both, owner("credits:read", true), false},
		"OwnerWithoutTheScope":  {openapi3.SecurityRequirements{bearer}, map[string]any{extensionOwner: "user_id"}, false},
		"OwnerOfMisspeltScope":  {both, owner("credits:reed", "user_id"), false},
		"MaxBody":               {openapi3.SecurityRequirements{}, map[string]any{extensionMaxBody: 1e6}, true},
		"MaxBodyThatIsNoNumber": {openapi3.SecurityRequirements{}, map[string]any{extensionMaxBody: "1 MiB"}, false},
		"MaxBodyThatIsHuge":     {openapi3.SecurityRequirements{}, map[string]any{extensionMaxBody: 1e12}, false},
		"MaxBodyInPartsOfBytes": {openapi3.SecurityRequirements{}, map[string]any{extensionMaxBody: 1.5}, false},
		"MaxBodyOfNothing":      {openapi3.SecurityRequirements{}, map[string]any{extensionMaxBody: 0.0}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newOperation(&routers.Route{
				Spec: &openapi3.T{}, PathItem: &openapi3.PathItem{}, Path: "/v1/users/{user_id}/credits",
				Operation: &openapi3.Operation{Security: &test.security, Extensions: test.extensions},
			}, 1)
			require.Equal(t, test.good, err == nil, err)
		})
	}
}

// An operation may be sent what the contract says, and others what is usual.
func TestGate_BodySizes(t *testing.T) {
	t.Parallel()
	const contract = `
openapi: 3.0.3
info: {title: x, version: "1"}
paths:
  /usual:
    post: {security: [], requestBody: &body {content: {application/json: {schema: {type: object}}}}, responses: {"200": {description: x}}}
  /large:
    post: {security: [], x-max-body-bytes: 1048576, requestBody: *body, responses: {"200": {description: x}}}
`
	doc, err := openapi3.NewLoader().LoadFromData([]byte(contract))
	require.NoError(t, err)
	gate, err := newGate(doc, nil, 64<<10)
	require.NoError(t, err)
	for path, limit := range map[string]int{"/usual": 64 << 10, "/large": 1 << 20} {
		for size, tooLarge := range map[int]bool{limit: false, limit + 1: true} {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(`{"x":"`+strings.Repeat("x", size-8)+`"}`))
			r.Header.Set("Content-Type", "application/json")
			c := echo.New().NewContext(r, httptest.NewRecorder())
			c.SetPath(path)
			err := gate.pass(func(echo.Context) error { return nil })(c)
			require.Equal(t, tooLarge, err != nil, "%s %d: %v", path, size, err)
		}
	}
}
