package httpapi

import (
	"net/http"
	"slices"
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
	for name, test := range map[string]struct {
		security   openapi3.SecurityRequirements
		extensions map[string]any
		good       bool
	}{
		"Public":              {openapi3.SecurityRequirements{}, nil, true},
		"AnyPerson":           {openapi3.SecurityRequirements{bearer}, nil, true},
		"Scope":               {openapi3.SecurityRequirements{bearer, apiKey}, map[string]any{extensionScope: "credits:read"}, true},
		"Admin":               {openapi3.SecurityRequirements{bearer}, map[string]any{extensionRole: "admin"}, true},
		"KeyWithoutScope":     {openapi3.SecurityRequirements{bearer, apiKey}, nil, false},
		"ScopeOfNobody":       {openapi3.SecurityRequirements{}, map[string]any{extensionScope: "credits:read"}, false},
		"AdminOfNobody":       {openapi3.SecurityRequirements{}, map[string]any{extensionRole: "admin"}, false},
		"KeysOnlyForAnAdmin":  {openapi3.SecurityRequirements{apiKey}, map[string]any{extensionRole: "admin", extensionScope: "x"}, false},
		"UnknownRole":         {openapi3.SecurityRequirements{bearer}, map[string]any{extensionRole: "emperor"}, false},
		"UnknownScope":        {openapi3.SecurityRequirements{bearer}, map[string]any{extensionScope: "credits:steal"}, false},
		"ScopeThatIsNoString": {openapi3.SecurityRequirements{bearer}, map[string]any{extensionScope: []any{"credits:read"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newOperation(&routers.Route{
				Spec: &openapi3.T{}, PathItem: &openapi3.PathItem{},
				Operation: &openapi3.Operation{Security: &test.security, Extensions: test.extensions},
			})
			require.Equal(t, test.good, err == nil, err)
		})
	}
}
