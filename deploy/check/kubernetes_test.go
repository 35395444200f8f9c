package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	request "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	"k8s.io/kubernetes/pkg/registry/apps/deployment"
	"k8s.io/kubernetes/pkg/registry/batch/job"
	"k8s.io/kubernetes/pkg/registry/core/configmap"
	"k8s.io/kubernetes/pkg/registry/core/namespace"
	"k8s.io/kubernetes/pkg/registry/core/secret"
	"k8s.io/kubernetes/pkg/registry/core/service"
	"k8s.io/kubernetes/pkg/registry/networking/networkpolicy"
	"k8s.io/kubernetes/pkg/registry/policy/poddisruptionbudget"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/authservice/authservice/internal/config"
)

// strategies are what the API server does with a new object: it fills in, and checks.
var strategies = map[string]rest.RESTCreateStrategy{
	"Namespace": namespace.Strategy, "Secret": secret.Strategy, "ConfigMap": configmap.Strategy, "Service": service.Strategy,
	"Deployment": deployment.Strategy, "Job": job.Strategy, "NetworkPolicy": networkpolicy.Strategy,
	"PodDisruptionBudget": poddisruptionbudget.Strategy,
}

// manifests are all objects: those of the kustomization, and those beside it.
func manifests(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(deploy, "kubernetes"))
	require.NoError(t, err)
	fs := filesys.MakeFsOnDisk()
	build := func(path string) resmap.ResMap {
		resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(fs, path)
		require.NoError(t, err)
		return resources
	}
	all := build(dir)
	// Those that are left out are taken in, in a copy.
	beside := filesys.MakeFsInMemory()
	for _, name := range []string{"secrets.example.yaml", "servicemonitor.yaml"} {
		require.NoError(t, beside.WriteFile("/"+name, []byte(read(t, "kubernetes/"+name))))
	}
	require.NoError(t, beside.WriteFile("/kustomization.yaml", []byte("namespace: authservice\nresources: [secrets.example.yaml, servicemonitor.yaml]\nlabels: [{pairs: {app.kubernetes.io/part-of: authservice}}]\n")))
	fs = beside
	require.NoError(t, all.AppendAll(build("/")))
	var objects []*unstructured.Unstructured
	for _, r := range all.Resources() {
		content, err := r.MarshalJSON()
		require.NoError(t, err)
		object := &unstructured.Unstructured{}
		require.NoError(t, object.UnmarshalJSON(content))
		objects = append(objects, object)
	}
	return objects
}

// find returns the object of a kind and name, as T.
func find[T any](t *testing.T, kind, name string) *T {
	t.Helper()
	for _, object := range manifests(t) {
		if object.GetKind() != kind || object.GetName() != name {
			continue
		}
		found := new(T)
		content, err := object.MarshalJSON()
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(content, found))
		return found
	}
	t.Fatalf("there is no %s %s", kind, name)
	return nil
}

// admit does with an object what the API server does: it refuses unknown fields and
// fields of the wrong type, and what its validation finds.
func admit(content []byte) error {
	object, kind, err := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict).UniversalDecoder().Decode(content, nil, nil)
	if err != nil {
		return err
	}
	strategy, known := strategies[kind.Kind]
	if !known {
		return fmt.Errorf("nobody looks at a %s", kind.Kind)
	}
	ctx := request.WithNamespace(request.NewContext(), metav1.NamespaceNone)
	if strategy.NamespaceScoped() {
		ctx = request.WithNamespace(ctx, "authservice")
	}
	ctx = request.WithRequestInfo(ctx, &request.RequestInfo{APIGroup: kind.Group, APIVersion: kind.Version})
	header, err := meta.Accessor(object)
	if err != nil {
		return err
	}
	rest.FillObjectMetaSystemFields(header)
	if err := rest.BeforeCreate(strategy, ctx, object); err != nil {
		return err
	}
	if warnings := strategy.WarningsOnCreate(ctx, object); len(warnings) > 0 {
		return fmt.Errorf("it warns: %s", strings.Join(warnings, "; "))
	}
	return nil
}

func admitAny(t *testing.T, object *unstructured.Unstructured) error {
	t.Helper()
	if !scheme.Scheme.Recognizes(object.GroupVersionKind()) {
		return admitCustom(t, object)
	}
	content, err := object.MarshalJSON()
	require.NoError(t, err)
	return admit(content)
}

func TestKubernetes_Admitted(t *testing.T) {
	t.Parallel()
	kinds := map[string]int{}
	for _, object := range manifests(t) {
		kinds[object.GetKind()]++
		name := object.GetKind() + "/" + object.GetName()
		if object.GroupVersionKind().Kind != "Namespace" {
			require.Equal(t, "authservice", object.GetNamespace(), name)
		}
		require.Equal(t, "authservice", object.GetLabels()["app.kubernetes.io/part-of"], name)
		require.NoError(t, admitAny(t, object), name)
	}
	for _, kind := range []string{"Namespace", "Secret", "ConfigMap", "Service", "Deployment", "Job", "NetworkPolicy", "PodDisruptionBudget", "Cluster", "Gateway", "HTTPRoute", "ServiceMonitor"} {
		require.NotZero(t, kinds[kind], kind)
	}
}

// The check itself refuses what a cluster refuses.
func TestKubernetes_Refused(t *testing.T) {
	t.Parallel()
	change := func(kind, name string, path []string, value any) error {
		all := manifests(t)
		object := all[slices.IndexFunc(all, func(o *unstructured.Unstructured) bool { return o.GetKind() == kind && o.GetName() == name })]
		require.NoError(t, unstructured.SetNestedField(object.Object, value, path...))
		return admitAny(t, object)
	}
	require.ErrorContains(t, change("Deployment", "authservice", []string{"spec", "replica"}, int64(3)), `unknown field "spec.replica"`)
	require.ErrorContains(t, change("Deployment", "authservice", []string{"spec", "replicas"}, int64(-1)), "spec.replicas")
	require.ErrorContains(t, change("Deployment", "authservice", []string{"spec", "selector", "matchLabels", "app.kubernetes.io/name"}, "other"), "spec.template.metadata.labels")
	require.ErrorContains(t, change("PodDisruptionBudget", "authservice", []string{"spec", "minAvailable"}, int64(1)), "minAvailable and maxUnavailable cannot be both set")
	require.ErrorContains(t, change("Cluster", "authservice-db", []string{"spec", "postgresql", "synchronus"}, "x"), "spec.postgresql.synchronus")
	require.ErrorContains(t, change("Cluster", "authservice-db", []string{"spec", "postgresql", "synchronous", "method"}, "some"), "spec.postgresql.synchronous.method")
	require.ErrorContains(t, change("ServiceMonitor", "authservice", []string{"spec", "jobLabel"}, int64(1)), "spec.jobLabel")
}

// pods are the templates of all pods that are ours.
func pods(t *testing.T) map[string]corev1.PodTemplateSpec {
	t.Helper()
	return map[string]corev1.PodTemplateSpec{
		"authservice":         find[appsv1.Deployment](t, "Deployment", "authservice").Spec.Template,
		"authservice-migrate": find[batchv1.Job](t, "Job", "authservice-migrate").Spec.Template,
	}
}

// The namespace demands the restricted standard; the pods meet it, and more.
func TestKubernetes_PodSecurity(t *testing.T) {
	t.Parallel()
	require.Equal(t, "restricted", find[corev1.Namespace](t, "Namespace", "authservice").Labels[podsecurity.EnforceLevelLabel])
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	require.NoError(t, err)
	for name, pod := range pods(t) {
		result := policy.AggregateCheckResults(evaluator.EvaluatePod(podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}, &pod.ObjectMeta, &pod.Spec))
		require.True(t, result.Allowed, "%s: %s", name, result.ForbiddenDetail())
		require.False(t, *pod.Spec.AutomountServiceAccountToken, name)
		require.False(t, *pod.Spec.EnableServiceLinks, name)
		for _, container := range pod.Spec.Containers {
			require.True(t, *container.SecurityContext.ReadOnlyRootFilesystem, name)
			require.NotZero(t, container.Resources.Limits.Memory().Value(), name)
			require.Equal(t, "registry.example.com/authservice:v1.0.0", container.Image)
		}
	}
}

// environmentOf is what a container's process sees, with the example's secrets.
func environmentOf(t *testing.T, container corev1.Container) map[string]string {
	t.Helper()
	secrets := func(name string) map[string]string { return find[corev1.Secret](t, "Secret", name).StringData }
	seen := map[string]string{}
	for _, from := range container.EnvFrom {
		if from.ConfigMapRef != nil {
			maps.Copy(seen, find[corev1.ConfigMap](t, "ConfigMap", from.ConfigMapRef.Name).Data)
		} else {
			maps.Copy(seen, secrets(from.SecretRef.Name))
		}
	}
	for _, variable := range container.Env {
		value := variable.Value
		if variable.ValueFrom != nil {
			ref := variable.ValueFrom.SecretKeyRef
			require.Contains(t, secrets(ref.Name), ref.Key)
			value = secrets(ref.Name)[ref.Key]
		}
		for name, other := range seen {
			value = strings.ReplaceAll(value, "$("+name+")", other)
		}
		require.NotContains(t, value, "$(")
		seen[variable.Name] = value
	}
	return seen
}

func TestKubernetes_Settings(t *testing.T) {
	t.Parallel()
	pod := pods(t)["authservice"].Spec
	seen := environmentOf(t, pod.Containers[0])
	requirePlaceholdersRefused(t, environment(seen), "DATABASE_URL", "AUTH_ENCRYPTION_KEY")
	seen["AUTH_ENCRYPTION_KEY"] = goodKey
	seen["DATABASE_URL"] = strings.ReplaceAll(seen["DATABASE_URL"], "change-me", goodPassword)
	c := requireSettings(t, environment(seen))
	require.Greater(t, float64(*pod.TerminationGracePeriodSeconds), (*c.HTTP.DrainDelay+c.HTTP.ShutdownTimeout).Seconds()+4)
	require.Contains(t, seen["DATABASE_URL"], "sslmode=verify-full")

	migrate := environmentOf(t, pods(t)["authservice-migrate"].Spec.Containers[0])
	require.Equal(t, strings.Replace(environmentOf(t, pod.Containers[0])["DATABASE_URL"], "authservice:", "authservice_owner:", 1), migrate["DATABASE_URL"])
	_, err := config.DatabaseURL(environment(migrate))
	require.NoError(t, err)
}

// Names that one object has of another lead somewhere.
func TestKubernetes_References(t *testing.T) {
	t.Parallel()
	pod := pods(t)["authservice"]
	ports := map[string]int32{}
	for _, port := range pod.Spec.Containers[0].Ports {
		ports[port.Name] = port.ContainerPort
	}
	seen := environmentOf(t, pod.Spec.Containers[0])
	require.Equal(t, map[string]int32{"http": 8080, "ops": 9090}, ports)
	require.Equal(t, ":9090", seen["AUTH_OPS_ADDR"])
	require.NotContains(t, seen, "AUTH_HTTP_ADDR", "the default is port 8080")
	for _, name := range []string{"authservice", "authservice-ops"} {
		service := find[corev1.Service](t, "Service", name)
		require.True(t, labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(pod.Labels)))
		require.Contains(t, ports, service.Spec.Ports[0].TargetPort.StrVal)
	}
	type route struct {
		Spec struct {
			ParentRefs []struct{ Name, SectionName string }
			Hostnames  []string
			Rules      []struct {
				BackendRefs []struct {
					Name string
					Port int32
				}
			}
		}
	}
	backend := find[route](t, "HTTPRoute", "authservice").Spec.Rules[0].BackendRefs[0]
	require.Equal(t, find[corev1.Service](t, "Service", backend.Name).Spec.Ports[0].Port, backend.Port)
	gateway := find[struct {
		Spec struct {
			Listeners []struct{ Name, Hostname string }
		}
	}](t, "Gateway", "authservice")
	for i, name := range []string{"authservice", "authservice-to-https"} {
		r, listener := find[route](t, "HTTPRoute", name).Spec, gateway.Spec.Listeners[i]
		require.Equal(t, []struct{ Name, SectionName string }{{"authservice", listener.Name}}, r.ParentRefs)
		require.Equal(t, []string{listener.Hostname}, r.Hostnames)
		require.Equal(t, "https://"+listener.Hostname, seen["AUTH_PUBLIC_URL"])
	}

	selects := func(selector *metav1.LabelSelector, set map[string]string) bool {
		s, err := metav1.LabelSelectorAsSelector(selector)
		require.NoError(t, err)
		return s.Matches(labels.Set(set))
	}
	require.True(t, selects(find[policyv1.PodDisruptionBudget](t, "PodDisruptionBudget", "authservice").Spec.Selector, pod.Labels))
	for _, constraint := range pod.Spec.TopologySpreadConstraints {
		require.True(t, selects(constraint.LabelSelector, pod.Labels))
	}
	database := map[string]string{"cnpg.io/cluster": find[metav1.PartialObjectMetadata](t, "Cluster", "authservice-db").Name}
	for name, set := range map[string]map[string]string{
		"authservice": pod.Labels, "authservice-migrate": pods(t)["authservice-migrate"].Labels, "authservice-db": database,
	} {
		p := find[networkingv1.NetworkPolicy](t, "NetworkPolicy", name).Spec
		require.True(t, selects(&p.PodSelector, set), name)
		for _, rule := range p.Ingress {
			for _, port := range rule.Ports {
				if port.Port.StrVal != "" {
					require.Contains(t, ports, port.Port.StrVal)
				}
			}
		}
		reaches := slices.ContainsFunc(p.Egress, func(rule networkingv1.NetworkPolicyEgressRule) bool {
			return len(rule.To) == 0 && len(rule.Ports) == 0 || len(rule.To) == 1 && rule.To[0].PodSelector != nil &&
				selects(rule.To[0].PodSelector, database) && rule.Ports[0].Port.IntVal == 5432
		})
		require.True(t, reaches, "%s reaches no database", name)
	}

	monitor := find[struct {
		Spec struct {
			JobLabel  string
			Selector  metav1.LabelSelector
			Endpoints []struct{ Port, Path string }
		}
	}](t, "ServiceMonitor", "authservice")
	ops := find[corev1.Service](t, "Service", "authservice-ops")
	require.True(t, selects(&monitor.Spec.Selector, ops.Labels))
	require.False(t, selects(&monitor.Spec.Selector, find[corev1.Service](t, "Service", "authservice").Labels))
	require.Equal(t, ops.Spec.Ports[0].Name, monitor.Spec.Endpoints[0].Port)
	require.Equal(t, "authservice", ops.Labels[monitor.Spec.JobLabel], "what the alerts call the job")
}

// probed are the paths that Kubernetes asks for, and of which port.
func probed(t *testing.T) map[string][]string {
	t.Helper()
	c := pods(t)["authservice"].Spec.Containers[0]
	paths := map[string][]string{"ops": {"/metrics"}}
	for _, probe := range []*corev1.Probe{c.LivenessProbe, c.StartupProbe, c.ReadinessProbe} {
		paths[probe.HTTPGet.Port.StrVal] = append(paths[probe.HTTPGet.Port.StrVal], probe.HTTPGet.Path)
	}
	return paths
}
