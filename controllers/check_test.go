package controllers_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/controllers"
	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/translate/chaos"
	"github.com/breakwater-gateway/breakwater/controllers/translate/gateway"
)

const shop = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: shop}
spec: {gatewayClassName: breakwater, listeners: [{name: http, port: 80, protocol: HTTP}, {name: db, port: 5432, protocol: TCP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: web, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: db, namespace: shop}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: web, port: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [127.0.0.1]}]
---
apiVersion: breakwater-gateway.io/v1alpha1
kind: NetworkChaos
metadata: {name: abort, namespace: shop}
spec:
  targetRefs: [{kind: HTTPRoute, name: web}]
  at: Backend
  duration: 10m
  toxics: [{type: Abort, abort: {status: 503}}]
`

const shopIngress = `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: in, namespace: shop}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
`

func check(t *testing.T, text string) (remarks []string) {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), text)
	all, _ := controllers.Check(dir, translate.Options{
		Controller: "breakwater-gateway.io/controller", Class: "breakwater", ImplicitClasses: true, IngressPort: 8080,
		Addresses: []string{"127.0.0.1"}, Placement: gateway.Offset{Offset: 10000, Reachable: []string{"127.0.0.1"}},
		Chaos: chaos.Options{Files: true, Switch: types.NamespacedName{Name: "breakwater-chaos"}},
	})
	for _, r := range all {
		kind := "error"
		if r.Warning {
			kind = "warning"
		}
		file := strings.TrimPrefix(strings.TrimPrefix(r.Place.File, dir), "/")
		remarks = append(remarks, fmt.Sprintf("%s:%d: %s: %s: %s", file, r.Place.Line, kind, r.Object, strings.ReplaceAll(r.Reason, dir, "DIR")))
	}
	return remarks
}

func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		before, after string // what is replaced in the files, and by what
		remarks       []string
	}{
		"all is well": {},
		"no such Gateway": {"name: db, namespace: shop}\nspec: {parentRefs: [{name: gw}]", "name: db, namespace: shop}\nspec: {parentRefs: [{name: g22}]",
			[]string{"a.yaml:11: warning: TCPRoute shop/db: spec.parentRefs[0]: there is no Gateway shop/g22"}},
		"no Gateway at all": {"name: db, namespace: shop}\nspec: {parentRefs: [{name: gw}]", "name: db, namespace: shop}\nspec: {parentRefs: []",
			[]string{"a.yaml:11: warning: TCPRoute shop/db: spec.parentRefs: is empty, so no Gateway serves it"}},
		"another class": {"{defaultBackend:", "{ingressClassName: braekwater, defaultBackend:",
			[]string{`a.yaml:37: warning: Ingress shop/in: is not served: its class is "braekwater", and the one that is served is "breakwater"`}},
		"unknown annotation": {"{name: in,", "{annotations: {breakwater-gateway.io/proxyprotocol: v1}, name: in,",
			[]string{"a.yaml:37: warning: Ingress shop/in: metadata.annotations[breakwater-gateway.io/proxyprotocol]: has no effect on an object of kind Ingress; there is none"}},
		"another port name": {"ports: [{name: http, port: 8080}]", "ports: [{name: web, port: 8080}]",
			[]string{`a.yaml:16: warning: Service shop/web: spec.ports[0]: no EndpointSlice of it has a port "http" (TCP); they have "web" (TCP)`}},
		"more endpoints than there are": {"at: Backend", "at: Backend\n  endpoints: {count: 5}",
			[]string{"a.yaml:28: warning: NetworkChaos shop/abort: spec.endpoints.count: is 5, and Service shop/web has 1"}},
		"no such pods": {"at: Backend", "at: Backend\n  endpoints: {podSelector: {matchLabels: {a: b}}}",
			[]string{"a.yaml:28: warning: NetworkChaos shop/abort: no pod has these labels now"}},
		"no endpoint there": {"at: Backend", "at: Backend\n  endpoints: {zone: z}",
			[]string{"a.yaml:28: warning: NetworkChaos shop/abort: no endpoint of its targets is in the zone z"}},
		"longer than its interval": {"duration: 10m", "duration: 10m\n  schedule: '*/5 * * * *'",
			[]string{"a.yaml:28: warning: NetworkChaos shop/abort: spec.duration: 10m0s is longer than the 5m0s between two starts of the schedule"}},
		"no such target": {"{kind: HTTPRoute, name: web}", "{kind: HTTPRoute, name: wbe}",
			[]string{"a.yaml:28: error: NetworkChaos shop/abort: spec.targetRefs[0]: HTTPRoute shop/wbe not found"}},
		"no such Service": {"{defaultBackend: {service: {name: web,", "{defaultBackend: {service: {name: wbe,",
			[]string{"a.yaml:37: error: Ingress shop/in: spec.defaultBackend.service.name: Service shop/wbe not found"}},
		"a listener of two protocols": {"port: 80, protocol: HTTP}", "port: 5432, protocol: HTTP}", []string{
			"a.yaml:1: error: Gateway shop/gw listener db: another listener has port 5432 with another protocol",
			"a.yaml:1: error: Gateway shop/gw listener http: another listener has port 5432 with another protocol",
			"a.yaml:28: warning: NetworkChaos shop/abort: no traffic that it may break is served here: look at the status, class and parents of its targets",
		}},
		"no YAML": {"kind: Gateway", "kind: [",
			[]string{"a.yaml:3: error: : is not YAML: did not find expected ',' or ']'"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := shop + shopIngress
			if !strings.Contains(text, test.before) {
				t.Fatalf("there is no %q", test.before)
			}
			got := check(t, strings.Replace(text, test.before, test.after, 1))
			got = slices.DeleteFunc(got, func(r string) bool { return name == "a listener of two protocols" && strings.Contains(r, "Route") })
			if !slices.Equal(got, test.remarks) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.remarks, "\n"))
			}
		})
	}
}

func TestCheckSaysThatAFolderHoldsNothing(t *testing.T) {
	all, n := controllers.Check(t.TempDir(), translate.Options{})
	if len(all) != 1 || !all[0].Warning || n != 0 || !strings.Contains(all[0].Reason, "no manifests") {
		t.Errorf("got %+v, %d objects", all, n)
	}
}
