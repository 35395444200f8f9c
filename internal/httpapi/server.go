package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace"

	"github.com/authservice/authservice/api"
	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/identity"
	"github.com/authservice/authservice/internal/telemetry"
	"github.com/authservice/authservice/internal/tokens"
	"github.com/authservice/authservice/internal/webui"
)

// Options are the parts that the API joins, and its limits.
type Options struct {
	Identity       *identity.Service
	Ledger         *creditledger.Ledger
	Tokens         *tokens.Service
	Audit          *audit.Log
	Pages          webui.PagesOptions
	Mailbox        http.Handler   // below /dev/mail, for developers; nil for none
	TrustedProxies []netip.Prefix // whose X-Forwarded-For counts
	CORSOrigins    []string       // whose pages may call the API; see crossOrigin
	HTTPS          bool           // whether people reach the service by https only
	Ready          func(context.Context) Readiness
	Log            *slog.Logger
	Metrics        *telemetry.Metrics
	Spans          trace.TracerProvider // nil for no traces
	Scale          int                  // decimals of a credit that a person reads
	RequestTimeout time.Duration        // how long a request may take
	MaxBody        int64                // bytes, where the contract says nothing else
}

// server implements the generated strict interface, one file an operation group.
type server struct {
	o       Options
	headers http.Header // of every answer
}

var _ apigen.StrictServerInterface = (*server)(nil)

// New returns the handler of the whole API.
func New(o Options) (http.Handler, error) {
	doc, err := loadContract()
	if err != nil {
		return nil, err
	}
	docJSON, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("writing the contract as JSON: %w", err)
	}
	gate, err := newGate(doc, o.Identity, o.MaxBody)
	if err != nil {
		return nil, fmt.Errorf("preparing the contract: %w", err)
	}

	crossOrigin, err := crossOrigin(o.CORSOrigins)
	if err != nil {
		return nil, err
	}

	s := &server{o: o, headers: securityHeaders(o.HTTPS)}
	e := echo.New()
	e.HTTPErrorHandler = s.handleError
	e.IPExtractor = addressExtractor(o.TrustedProxies)
	e.Use(append(s.traced(gate), crossOrigin, readAgain, gate.pass)...)
	apigen.RegisterHandlers(e, apigen.NewStrictHandler(s, nil))
	e.GET("/openapi.yaml", document("application/yaml", api.OpenAPIYAML))
	e.GET("/openapi.json", document(echo.MIMEApplicationJSON, docJSON))
	// YAML, because it keeps the contract's order.
	mount(e, webui.Docs("/openapi.yaml"))
	mount(e, webui.Pages(o.Pages))
	if o.Mailbox != nil {
		e.Any("/dev/mail*", echo.WrapHandler(o.Mailbox))
	}
	return e, nil
}

// mount serves what is read only.
func mount(e *echo.Echo, site interface {
	http.Handler
	Paths() []string
}) {
	for _, path := range site.Paths() {
		e.Match([]string{http.MethodGet, http.MethodHead}, path, echo.WrapHandler(site))
	}
}

func loadContract() (*openapi3.T, error) {
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(api.OpenAPIYAML)
	if err != nil {
		return nil, fmt.Errorf("reading the contract: %w", err)
	}
	if err := doc.Validate(loader.Context); err != nil {
		return nil, fmt.Errorf("checking the contract: %w", err)
	}
	return doc, nil
}

func document(mediaType string, body []byte) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "no-cache")
		return c.Blob(http.StatusOK, mediaType, body)
	}
}

// ContractVersion is the version of the API, as the contract says it.
func ContractVersion() (string, error) {
	doc, err := loadContract()
	if err != nil {
		return "", err
	}
	return doc.Info.Version, nil
}
