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

const tableTemplate = `<!-- Generated from internal/config by go generate ./internal/config; do not edit. -->

# Settings

All settings are environment variables; ` + "`serve`" + ` also reads a file named ` + "`.env`" + ` in its working directory, such as
[.env.example](../.env.example), which variables that are really set win over. A secret may be given as ` + "`file:/path/to/it`" + `.
Durations are Go durations, such as 90s, 15m or 720h; rates are so many in each span, such as 10/15m. The service does not
start on missing, weak or misspelt ones, and says which.

| setting | default | what |
|---|---|---|
| ` + "`DATABASE_URL`" + ` | | where PostgreSQL is; required |
{{range .}}{{if usage_description .}}| ` + "`{{usage_key .}}`" + ` | {{with usage_default .}}` + "`{{.}}`" + ` {{end}}| {{usage_description .}} |
{{end}}{{end}}`

// WriteExample writes .env.example.
func WriteExample(w io.Writer) error { return usage(w, exampleTemplate) }

// WriteTable writes deploy/SETTINGS.md.
func WriteTable(w io.Writer) error { return usage(w, tableTemplate) }

func usage(w io.Writer, template string) error {
	if err := envconfig.Usagef(prefix, &Config{}, w, template); err != nil {
		return fmt.Errorf("writing the settings: %w", err)
	}
	return nil
}
