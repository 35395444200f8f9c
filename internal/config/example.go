package config

import (
	"fmt"
	"io"

	"github.com/kelseyhightower/envconfig"
)

const exampleTemplate = `# The settings of Auth Service. Generated from internal/config by
# go generate ./internal/config; do not edit.
#
# serve reads a file named .env in its working directory; variables that are
# really set win. A secret may be given as file:/path/to/it. Durations are Go
# durations, such as 90s, 15m or 720h. What is commented out shows the default.

# where PostgreSQL is; required
DATABASE_URL=postgres://authservice:` + exampleSecret + `@localhost:5432/authservice
{{range .}}{{if usage_description .}}
# {{usage_description .}}
{{if eq (usage_key .) "AUTH_ENCRYPTION_KEY"}}{{usage_key .}}=` + exampleSecret + `{{else}}# {{usage_key .}}={{usage_default .}}{{end}}
{{end}}{{end}}
# Traces are made where OpenTelemetry's own variables name an endpoint, for example
# OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318
# OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
# OTEL_TRACES_SAMPLER=parentbased_traceidratio
# OTEL_TRACES_SAMPLER_ARG=0.1
`

// WriteExample writes .env.example.
func WriteExample(w io.Writer) error {
	if err := envconfig.Usagef(prefix, &Config{}, w, exampleTemplate); err != nil {
		return fmt.Errorf("writing .env.example: %w", err)
	}
	return nil
}
