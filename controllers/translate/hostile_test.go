package translate_test

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/view"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// hostile values for string fields: what has broken out of other projects' configuration languages, and what breaks
// naive parsers.
func hostile() []string {
	return []string{
		"", "`", `"`, "'", "\r\nX: y", "\n", ";", "{", "}", "$", "#", "\x00", "\xff\xfe", "../..", "/", "//", "*", "*.", ".",
		"a`) || PathPrefix(`/", "a; } location / { proxy_pass http://evil; }", "(", "[", "\\", "%2f", "%", " ", "\u202e", "é",
		string(make([]byte, 5000)),
	}
}

// TestHostileValuesStayWithTheirObject puts every hostile value into every string field of one tenant's objects. Nothing
// may panic, and what another tenant is served and told must stay the very same.
func TestHostileValuesStayWithTheirObject(t *testing.T) {
	options := testOptions()
	options.AllowExternalName = true
	v := view.New()
	for _, o := range parse(t, victimObjects) {
		v.Set(o)
	}
	attackers := parse(t, attackerObjects)
	for _, o := range attackers {
		v.Set(o)
	}
	before := translate.Build(v, options, nil)
	for _, attacker := range attackers {
		for index := range stringsIn(reflect.ValueOf(attacker).Elem()) {
			for _, value := range hostile() {
				evil := attacker.DeepCopyObject().(view.Object)
				stringsIn(reflect.ValueOf(evil).Elem())[index](value)
				v.Delete(attacker)
				v.Set(evil)
				after := translate.Build(v, options, before)
				_ = text(after)
				if checkVictim(t, before, after); t.Failed() {
					t.Fatalf("%T: string field %d set to %q", attacker, index, value)
				}
				v.Delete(evil)
				v.Set(attacker)
			}
		}
	}
}

// checkVictim checks that everything of namespace "victim" is shared between both Results.
func checkVictim(t *testing.T, before, after *translate.Result) {
	t.Helper()
	victims := func(r *translate.Result) map[string]any {
		found := map[string]any{}
		for _, l := range r.Snapshot.Listeners {
			for _, h := range l.Hosts {
				if len(h.Routes) > 0 && h.Routes[0].ID.Object.Namespace == "victim" {
					found[l.ID.String()+" "+h.Name] = h
				}
			}
		}
		for _, l := range r.Snapshot.Listeners {
			if l.Stream != nil && l.Stream.ID.Namespace == "victim" {
				found[l.ID.String()+" "+l.Stream.ID.String()] = l.Stream
			}
		}
		for id, b := range r.Snapshot.Backends {
			if id.Namespace == "victim" {
				found[id.String()] = b
			}
		}
		for key, entry := range r.Report.Ingresses {
			if key.Namespace == "victim" {
				found["ingress "+key.Name] = entry
			}
		}
		r.Report.Routes(func(key types.NamespacedName, entry *status.Route) {
			if key.Namespace == "victim" {
				found[entry.Kind+" "+key.Name] = entry
			}
		})
		return found
	}
	want, got := victims(before), victims(after)
	if len(want) < 9 {
		t.Fatalf("the victim is not there: %v", want)
	}
	if !reflect.DeepEqual(want, got) {
		t.Errorf("the victim had %v, has %v", want, got)
	}
	for key := range want {
		if want[key] != got[key] {
			t.Errorf("%s is not the same", key)
		}
	}
}

// stringsIn returns what sets every string reached from v, in a stable order; not type and identity of the object.
func stringsIn(v reflect.Value) []func(string) {
	var found []func(string)
	switch v.Kind() {
	case reflect.String:
		found = append(found, v.SetString)
	case reflect.Map:
		if annotations, ok := v.Interface().(map[string]string); ok {
			for _, key := range slices.Sorted(maps.Keys(annotations)) {
				found = append(found, func(value string) { annotations[key] = value })
			}
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			found = stringsIn(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			found = append(found, stringsIn(v.Index(i))...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "TypeMeta" && f.Name != "Namespace" {
				found = append(found, stringsIn(v.Field(i))...)
			}
		}
	}
	return found
}

func parse(t *testing.T, manifests string) []view.Object {
	t.Helper()
	var objects []view.Object
	for _, d := range view.Parse("test", []byte(manifests)) {
		for _, p := range d.Problems {
			t.Error(p)
		}
		objects = append(objects, d.Object)
	}
	return objects
}

// FuzzManifests feeds arbitrary manifests through the whole way: nothing may panic, and continuing from a Result must
// give what a build from scratch gives.
func FuzzManifests(f *testing.F) {
	inputs, err := filepath.Glob("testdata/*/in.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, in := range inputs {
		data, err := os.ReadFile(in)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v := view.New()
		var step *translate.Result
		for _, d := range view.Parse("fuzz", data) {
			for _, p := range d.Problems {
				_ = p.String()
			}
			if d.Object != nil {
				v.Set(d.Object)
				step = translate.Build(v, testOptions(), step)
			}
		}
		full := text(translate.Build(v, testOptions(), nil))
		if step != nil && text(step) != full {
			t.Errorf("object by object:\n%s\nat once:\n%s", text(step), full)
		}
	})
}

// TestBrokenReferenceNeverServes deletes each object that a route refers to: the route's requests must then be answered
// by nobody, and no other route take them.
func TestBrokenReferenceNeverServes(t *testing.T) {
	for _, gone := range parse(t, victimObjects) {
		v := view.New()
		for _, o := range parse(t, victimObjects) {
			v.Set(o)
		}
		before := translate.Build(v, testOptions(), nil)
		v.Delete(gone)
		after := translate.Build(v, testOptions(), before)
		for _, l := range after.Snapshot.Listeners {
			for _, h := range l.Hosts {
				for _, r := range h.Routes {
					checkShares(t, gone, after.Snapshot, r)
				}
			}
		}
	}
}

// checkShares checks that no share of a Route reaches an endpoint if a Service has gone.
func checkShares(t *testing.T, gone view.Object, s *proxy.Snapshot, r *proxy.Route) {
	t.Helper()
	for _, share := range r.Backends {
		b := s.Backends[share.Backend]
		if share.Invalid == "" && b != nil && len(b.Endpoints) > 0 && share.Backend.Name == gone.GetName() {
			t.Errorf("without %T %s, %s still reaches %v", gone, gone.GetName(), r.ID, b.Endpoints)
		}
	}
}

// TestOlderTenantKeepsItsHost: a younger Ingress that names another tenant's host and path gets nothing of it.
func TestOlderTenantKeepsItsHost(t *testing.T) {
	v := view.New()
	for _, o := range append(parse(t, victimObjects), parse(t, attackerObjects)...) {
		v.Set(o)
	}
	thief := v.Ingresses[types.NamespacedName{Namespace: "evil", Name: "evil"}].DeepCopy()
	thief.Spec.Rules = append([]networkingv1.IngressRule(nil), thief.Spec.Rules...)
	thief.Spec.Rules[0].Host = "victim.example.com"
	v.Set(thief)
	r := translate.Build(v, testOptions(), nil)
	for _, l := range r.Snapshot.Listeners {
		for _, h := range l.Hosts {
			if h.Name == "victim.example.com" && h.Routes[0].ID.Object.Namespace != "victim" {
				t.Errorf("the first route of %s at %s is %s", h.Name, l.ID, h.Routes[0].ID)
			}
		}
	}
	if events := r.Report.Ingresses[types.NamespacedName{Namespace: "evil", Name: "evil"}].Events; events[len(events)-1].Reason != "HostConflict" {
		t.Errorf("events %v, want a HostConflict", events)
	}
}

const victimObjects = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: victim, namespace: victim, creationTimestamp: "2025-01-01T00:00:00Z"}
spec: {rules: [{host: victim.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}]}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: victim}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: victim, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.0.0.1]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: victim, creationTimestamp: "2025-01-01T00:00:00Z"}
spec:
  gatewayClassName: breakwater
  listeners:
  - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}
  - {name: tcp, port: 81, protocol: TCP, allowedRoutes: {namespaces: {from: All}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: r, namespace: victim, creationTimestamp: "2025-01-01T00:00:00Z"}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: web, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: victim, creationTimestamp: "2025-01-01T00:00:00Z"}
spec: {parentRefs: [{name: gw}], hostnames: [victim.example.com, "*.victim.example.com"], rules: [{backendRefs: [{name: web, port: 80}]}]}
`

const attackerObjects = `
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: r, namespace: evil, creationTimestamp: "2026-01-01T00:00:00Z"}
spec:
  parentRefs: [{name: gw, namespace: victim, sectionName: tcp}, {name: gw, kind: Gateway}]
  rules: [{name: first, backendRefs: [{name: web, namespace: victim, kind: Service, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: UDPRoute
metadata: {name: r, namespace: evil, creationTimestamp: "2026-01-01T00:00:00Z"}
spec:
  parentRefs: [{name: gw, sectionName: udp}]
  rules: [{backendRefs: [{name: web, port: 80}]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: evil, namespace: evil, creationTimestamp: "2026-01-01T00:00:00Z"}
spec:
  ingressClassName: breakwater
  tls: [{hosts: [evil.example.com], secretName: s}]
  rules: [{host: evil.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}]}}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: evil, annotations: {breakwater-gateway.io/proxy-protocol: v1}}
spec: {type: ExternalName, externalName: example.org, ports: [{name: http, port: 80, appProtocol: http}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: evil, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.0.0.1], nodeName: n1, zone: z, targetRef: {kind: Pod, name: p, namespace: evil}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: evil, creationTimestamp: "2026-01-01T00:00:00Z", annotations: {breakwater-gateway.io/proxy-protocol: "*"}}
spec:
  gatewayClassName: breakwater
  infrastructure: {parametersRef: {group: g, kind: k, name: n1}}
  addresses: [{type: IPAddress, value: 203.0.113.2}]
  listeners: [{name: http, port: 80, protocol: HTTP, hostname: evil.example.com, allowedRoutes: {kinds: [{kind: HTTPRoute}], namespaces: {from: Selector, selector: {matchExpressions: [{key: k, operator: In, values: [v]}]}}}}, {name: udp, port: 82, protocol: UDP}, {name: tcp, port: 83, protocol: TCP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: evil, creationTimestamp: "2026-01-01T00:00:00Z"}
spec:
  parentRefs: [{name: gw, namespace: victim, sectionName: http}]
  hostnames: [evil.example.com]
  rules:
  - matches:
    - path: {type: RegularExpression, value: /x}
      method: GET
      headers: [{type: RegularExpression, name: X-A, value: a}]
      queryParams: [{type: Exact, name: q, value: v}]
    timeouts: {request: 10s, backendRequest: 1s}
    filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-B, value: b}], remove: [X-C]}}
    - {type: URLRewrite, urlRewrite: {hostname: in.example.com, path: {type: ReplaceFullPath, replaceFullPath: /y}}}
    backendRefs: [{name: web, namespace: victim, kind: Service, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /z}}]
    filters: [{type: RequestRedirect, requestRedirect: {scheme: https, hostname: evil.example.com, path: {type: ReplacePrefixMatch, replacePrefixMatch: /q}}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: g, namespace: evil}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: evil}]
  to: [{group: "", kind: Service, name: web}]
`
