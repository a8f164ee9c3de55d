package e2e

import (
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// parse returns the objects in a file or what else has a name.
func parse(t *testing.T, name string, data []byte) (objects []*unstructured.Unstructured) {
	t.Helper()
	for document := range strings.SplitSeq(string(data), "\n---\n") {
		var o unstructured.Unstructured
		if err := yaml.UnmarshalStrict([]byte(document), &o.Object); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		objects = append(objects, &o)
	}
	return objects
}

// rendered returns what kubectl makes of a folder with a kustomization.
func rendered(t *testing.T, dir string) []*unstructured.Unstructured {
	t.Helper()
	path, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	// The files are for the other process: reading them here makes a test run again that "go test" has in its cache.
	err = filepath.WalkDir("../../config", func(file string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			_, err = os.ReadFile(file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "go", "run", "-C", "../node", "./render", path)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	return parse(t, dir, out)
}

// accepted checks that the API server would create an object in ns, if it names no other namespace.
func (w *world) accepted(o *unstructured.Unstructured) {
	w.t.Helper()
	if mapping, err := api.RESTMapper().RESTMapping(o.GroupVersionKind().GroupKind()); err == nil &&
		o.GetNamespace() == "" && mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		o.SetNamespace(w.ns)
	}
	err := client.WithFieldValidation(api.Client, "Strict").Create(w.t.Context(), o, client.DryRunAll)
	if err != nil && !apierrors.IsAlreadyExists(err) {
		w.t.Errorf("%s %s: %v", o.GetKind(), o.GetName(), err)
	}
	if o.GetKind() == "Deployment" {
		w.restricted(o)
	}
}

// The API server itself checks every field, and that the pods keep to the restricted Pod Security Standard.
func TestTheAPIServerAcceptsWhatConfigHolds(t *testing.T) {
	api.installGatewayAPI(t)
	api.installChaos(t)
	w := newWorld(t)
	update(w, &corev1.Namespace{ObjectMeta: w.meta(w.ns)}, func(ns *corev1.Namespace) {
		ns.Labels["pod-security.kubernetes.io/enforce"] = "restricted"
	})
	for _, dir := range []string{"../../config/default", "../../config/gateway-api", "../../config/samples", "testdata/toxiproxy"} {
		for _, o := range rendered(t, dir) {
			w.accepted(o)
		}
	}
}

// What README.md has users write switches the API on, for one replica, at an address that is not open to the cluster.
func TestTheComponentSwitchesTheToxiproxyAPIOn(t *testing.T) {
	kinds := map[string]int{}
	for _, o := range rendered(t, "testdata/toxiproxy") {
		if strings.Contains(o.GetName(), "toxiproxy") {
			kinds[o.GetKind()]++
		}
		if o.GetKind() != "Deployment" {
			continue
		}
		var d appsv1.Deployment
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &d); err != nil {
			t.Fatal(err)
		}
		c := d.Spec.Template.Spec.Containers[0]
		if *d.Spec.Replicas != 1 || c.Image != "registry.example.com/breakwater:v1" ||
			!slices.Contains(c.Args, "--admin-address=:9901") || !slices.Contains(c.Args, "--toxiproxy-address=127.0.0.1:8474") {
			t.Errorf("%d replicas of %s with %q", *d.Spec.Replicas, c.Image, c.Args)
		}
	}
	want := map[string]int{"ClusterRole": 1, "ClusterRoleBinding": 1, "Role": 1, "Service": 1}
	if !maps.Equal(kinds, want) {
		t.Errorf("objects: %v, want %v", kinds, want)
	}
}

// restricted checks that a pod of the Deployment may run where only restricted pods may.
func (w *world) restricted(o *unstructured.Unstructured) {
	w.t.Helper()
	data, err := o.MarshalJSON()
	if err != nil {
		w.t.Fatal(err)
	}
	var deployment appsv1.Deployment
	if err := yaml.UnmarshalStrict(data, &deployment); err != nil {
		w.t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: w.meta(o.GetName()), Spec: deployment.Spec.Template.Spec}
	if err := api.Create(w.t.Context(), pod.DeepCopy(), client.DryRunAll); err != nil {
		w.t.Errorf("a pod of %s: %v", o.GetName(), err)
	}
	pod.Spec.Containers[0].SecurityContext.Capabilities = nil
	if err := api.Create(w.t.Context(), pod, client.DryRunAll); !apierrors.IsForbidden(err) {
		w.t.Errorf("a pod that keeps its capabilities is not refused, so this test proves nothing: %v", err)
	}
}

func TestTheServiceAccountMayDoNoMoreThanItNeeds(t *testing.T) {
	type access = authorizationv1.ResourceAttributes
	for _, c := range []struct {
		allowed bool
		access
	}{
		{true, access{Group: "networking.k8s.io", Resource: "ingresses", Verb: "watch"}},
		{true, access{Group: "networking.k8s.io", Resource: "ingresses", Subresource: "status", Verb: "patch"}},
		{true, access{Namespace: systemNamespace, Group: "coordination.k8s.io", Resource: "leases", Name: "breakwater", Verb: "update"}},
		{false, access{Resource: "secrets", Verb: "get"}},
		{false, access{Resource: "secrets", Verb: "list"}},
		{false, access{Namespace: systemNamespace, Resource: "secrets", Verb: "get"}},
		{false, access{Resource: "configmaps", Verb: "get"}},
		{true, access{Resource: "pods", Verb: "list"}}, // for podSelectors of NetworkChaos
		{false, access{Resource: "pods", Verb: "get"}},
		{true, access{Group: "breakwater-gateway.io", Resource: "networkchaos", Subresource: "status", Verb: "patch"}},
		{false, access{Group: "breakwater-gateway.io", Resource: "networkchaos", Verb: "patch"}},
		{true, access{Namespace: systemNamespace, Resource: "configmaps", Name: "breakwater-chaos", Verb: "watch"}},
		{false, access{Namespace: systemNamespace, Resource: "configmaps", Verb: "watch"}},
		{false, access{Resource: "pods", Verb: "create"}},
		{false, access{Resource: "nodes", Verb: "list"}},
		{false, access{Resource: "services", Verb: "delete"}},
		{false, access{Resource: "namespaces", Verb: "patch"}},
		{false, access{Resource: "serviceaccounts", Subresource: "token", Verb: "create"}},
		{false, access{Group: "networking.k8s.io", Resource: "ingresses", Verb: "patch"}},
		{true, access{Group: "gateway.networking.k8s.io", Resource: "tcproutes", Verb: "watch"}},
		{true, access{Group: "gateway.networking.k8s.io", Resource: "udproutes", Subresource: "status", Verb: "patch"}},
		{false, access{Group: "gateway.networking.k8s.io", Resource: "httproutes", Verb: "patch"}},
		{false, access{Group: "gateway.networking.k8s.io", Resource: "tcproutes", Verb: "patch"}},
		{false, access{Group: "gateway.networking.k8s.io", Resource: "gateways", Verb: "update"}},
		{false, access{Group: "gateway.networking.k8s.io", Resource: "referencegrants", Verb: "create"}},
		{false, access{Group: "rbac.authorization.k8s.io", Resource: "clusterroles", Verb: "bind"}},
		{false, access{Namespace: "default", Group: "coordination.k8s.io", Resource: "leases", Name: "breakwater", Verb: "update"}},
		{false, access{Namespace: systemNamespace, Group: "coordination.k8s.io", Resource: "leases", Name: "other", Verb: "update"}},
	} {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               "system:serviceaccount:" + systemNamespace + ":breakwater",
			Groups:             []string{"system:serviceaccounts", "system:authenticated"},
			ResourceAttributes: &c.access,
		}}
		if err := api.Create(t.Context(), review); err != nil {
			t.Fatal(err)
		}
		if review.Status.Allowed != c.allowed {
			t.Errorf("%s %s %s/%s: allowed is %v, want %v", c.Verb, c.Group, c.Resource, c.Subresource, review.Status.Allowed, c.allowed)
		}
	}
}
