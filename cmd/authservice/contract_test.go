package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/authservice/authservice/api"
)

// contract is api/openapi.yaml, read independently of the service.
var contract = sync.OnceValue(func() *openapi3.T {
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPIYAML)
	if err != nil {
		panic(err)
	}
	return doc
})

func init() {
	for _, media := range []string{"text/html", "application/yaml"} {
		openapi3filter.RegisterBodyDecoder(media, openapi3filter.FileBodyDecoder)
	}
}

var contractRouter = sync.OnceValue(func() routers.Router {
	router, err := gorillamux.NewRouter(contract())
	if err != nil {
		panic(err)
	}
	return router
})

// tested counts the answers seen, by operation and status, and the errors, by
// status and code.
var tested = struct {
	sync.Mutex
	answers map[string]map[int]int
	errors  map[string]int
}{answers: map[string]map[int]int{}, errors: map[string]int{}}

// documentedErrors are the rows of the contract's table of errors, as "402
// insufficient_credits".
var documentedErrors = sync.OnceValue(func() []string {
	var all []string
	for _, row := range regexp.MustCompile("(?m)^\\| (\\d{3}) \\| `([a-z_]+)` \\| .+ \\| .+ \\|$").FindAllStringSubmatch(contract().Info.Description, -1) {
		all = append(all, row[1]+" "+row[2])
	}
	return all
})

// contractTransport fails every request whose answer is not as the contract
// says, so that no test can pass with a wrong one.
type contractTransport struct{}

func (contractTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	if response.Header.Get("X-Request-ID") == "" {
		return nil, errors.New("the answer has no X-Request-ID")
	}
	if response.StatusCode == http.StatusInternalServerError {
		return nil, fmt.Errorf("%s %s answered 500", r.Method, r.URL.Path)
	}
	route, params, err := contractRouter().FindRoute(r)
	if err != nil {
		return response, nil //nolint:nilerr // a path or method outside the contract, on purpose
	}
	err = openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
		Status:                 response.StatusCode, Header: response.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		return nil, fmt.Errorf("%s %s answered %d, which the contract does not allow: %w", r.Method, r.URL.Path, response.StatusCode, err)
	}
	if strings.HasPrefix(r.URL.Path, "/v1/") && response.Header.Get("Cache-Control") != "no-store" {
		return nil, fmt.Errorf("%s %s may be cached", r.Method, r.URL.Path)
	}
	count(route.Operation.OperationID, response.StatusCode)
	return response, countError(response, body)
}

// countError wants every error to be in the contract's table.
func countError(response *http.Response, body []byte) error {
	var p struct{ Code string }
	if response.Header.Get("Content-Type") != "application/problem+json" || json.Unmarshal(body, &p) != nil {
		return nil
	}
	seen := fmt.Sprintf("%d %s", response.StatusCode, p.Code)
	if !slices.Contains(documentedErrors(), seen) {
		return fmt.Errorf("the contract's table of errors has no %s", seen)
	}
	tested.Lock()
	defer tested.Unlock()
	tested.errors[seen]++
	return nil
}

func count(operation string, status int) {
	tested.Lock()
	defer tested.Unlock()
	if tested.answers[operation] == nil {
		tested.answers[operation] = map[int]int{}
	}
	tested.answers[operation][status]++
}

// everyOperationTested fails the package when no test has seen an operation
// succeed, a documented refusal that a client can cause, or a code of the table
// of errors.
func everyOperationTested() error {
	if flag.Lookup("test.run").Value.String() != "" || flag.Lookup("test.list").Value.String() != "" || testing.Short() {
		return nil // only a part was run
	}
	tested.Lock()
	defer tested.Unlock()
	var missing []string
	for path, item := range contract().Paths.Map() {
		for method, operation := range item.Operations() {
			for code := range operation.Responses.Map() {
				var status int
				if _, err := fmt.Sscan(code, &status); err != nil || status >= 500 {
					continue
				}
				if tested.answers[operation.OperationID][status] == 0 {
					missing = append(missing, fmt.Sprintf("%s %s %d", method, path, status))
				}
			}
		}
	}
	for _, row := range documentedErrors() {
		if tested.errors[row] == 0 && row < "500" && row != "404 not_found" && row != "405 method_not_allowed" { // Those two are outside the contract's paths.
			missing = append(missing, row)
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		return fmt.Errorf("no test has seen these answers:\n  %s", strings.Join(missing, "\n  "))
	}
	return nil
}
