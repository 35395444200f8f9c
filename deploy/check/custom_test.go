package check

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

const (
	gatewayAPI = "sigs.k8s.io/gateway-api@v1.4.1"
	gatewaySum = "h1:NPxFutNkKNa8UfLd2CMlEuhIPMQgDQ6DXNKG9sHbJU8="
)

// definitions are where the operators' own definitions of their kinds stand: files
// of their Go modules, of which nothing else is used.
var definitions = map[string]struct{ module, sum, file string }{
	"Cluster": {
		"github.com/cloudnative-pg/cloudnative-pg@v1.27.0", "h1:mp0zlYO4vKAJmQdArWORWKr1lmB4Hj8JeBQGX5RBnpg=",
		"config/crd/bases/postgresql.cnpg.io_clusters.yaml",
	},
	"Gateway":   {gatewayAPI, gatewaySum, "config/crd/standard/gateway.networking.k8s.io_gateways.yaml"},
	"HTTPRoute": {gatewayAPI, gatewaySum, "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"},
	"ServiceMonitor": {
		"github.com/prometheus-operator/prometheus-operator@v0.85.0", "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
		"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
	},
}

// definition fetches the schema of a kind.
func definition(t *testing.T, kind, version string) *apiextensions.JSONSchemaProps {
	t.Helper()
	from, known := definitions[kind]
	require.True(t, known, kind)
	download := exec.Command("go", "mod", "download", "-json", from.module)
	download.Dir, download.Stderr = t.TempDir(), os.Stderr
	output, err := download.Output()
	require.NoError(t, err, "%s", output)
	var module struct{ Dir, Sum string }
	require.NoError(t, json.Unmarshal(output, &module))
	require.Equal(t, from.sum, module.Sum)
	content, err := os.ReadFile(filepath.Join(module.Dir, from.file))
	require.NoError(t, err)
	var crd v1.CustomResourceDefinition
	require.NoError(t, yaml.Unmarshal(content, &crd))
	for _, v := range crd.Spec.Versions {
		if v.Name == version {
			var props apiextensions.JSONSchemaProps
			require.NoError(t, v1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, &props, nil))
			return &props
		}
	}
	t.Fatalf("there is no version %s of %s", version, kind)
	return nil
}

// admitCustom does with an object of an operator what the API server does.
func admitCustom(t *testing.T, object *unstructured.Unstructured) error {
	t.Helper()
	props := definition(t, object.GetKind(), object.GroupVersionKind().Version)
	schema, err := structural.NewStructural(props)
	require.NoError(t, err)
	content := object.DeepCopy().Object
	unknown := pruning.PruneWithOptions(content, schema, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	var all field.ErrorList
	for _, path := range unknown {
		all = append(all, field.Invalid(field.NewPath(path), "", "there is no such field"))
	}
	defaulting.Default(content, schema)
	validator, _, err := validation.NewSchemaValidator(props)
	require.NoError(t, err)
	all = append(all, validation.ValidateCustomResource(nil, content, validator)...)
	rules := cel.NewValidator(schema, true, celconfig.PerCallLimit)
	found, _ := rules.Validate(t.Context(), nil, schema, content, nil, celconfig.RuntimeCELCostBudget)
	return append(all, found...).ToAggregate()
}
