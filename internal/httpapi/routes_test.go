package httpapi

import (
	"maps"
	"regexp"
	"slices"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/webui"
)

var parameter = regexp.MustCompile(`:([a-z_]+)`)

// What is served is what is documented, but for the files of web pages.
func TestNew_RoutesAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	handler, err := New(Options{})
	require.NoError(t, err)
	files := append(webui.Docs("").Paths(), webui.Pages(webui.PagesOptions{}).Paths()...)
	served := map[string]bool{}
	for _, route := range handler.(*echo.Echo).Routes() {
		path := parameter.ReplaceAllString(route.Path, "{$1}")
		if path == webui.DocsPath || !slices.Contains(files, path) {
			served[route.Method+" "+path] = true
		}
	}
	delete(served, "HEAD "+webui.DocsPath) // As to every GET of a file.

	doc, err := loadContract()
	require.NoError(t, err)
	documented := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			documented[method+" "+path] = true
		}
	}
	require.Equal(t, slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(served)))
}
