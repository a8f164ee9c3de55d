package translate_test

import (
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/view"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// TestIncrementalEqualsFull is the central property: whatever was built before, the outcome is that of a build from
// scratch, and what was built before stays as it was.
func TestIncrementalEqualsFull(t *testing.T) {
	worlds := uint64(100)
	if testing.Short() {
		worlds = 10
	}
	for seed := range worlds {
		w := newWorld(seed)
		options := testOptions()
		options.ImplicitClasses = seed%2 == 0
		options.AllowExternalName = seed%3 == 0
		options.ShareIngressHosts = seed%4 == 0
		var prev *translate.Result
		before := ""
		for step := range 60 {
			next := w.step(options, prev)
			if prev != nil {
				if text(prev) != before {
					t.Fatalf("world %d, step %d: the earlier Result has changed", seed, step)
				}
				checkSharing(t, prev, next)
			}
			full := translate.Build(w.view, w.placed(options), nil)
			if got, want := text(next), text(full); got != want {
				t.Fatalf("world %d, step %d: incremental:\n%s\nfrom scratch:\n%s", seed, step, got, want)
			}
			if !reflect.DeepEqual(next.Snapshot, full.Snapshot) || !reflect.DeepEqual(next.Report, full.Report) {
				t.Fatalf("world %d, step %d: values differ that read the same", seed, step)
			}
			prev, before = next, text(next)
		}
	}
}

// step makes a few edits and builds, by the fast lane if that may be used.
func (w *world) step(o translate.Options, prev *translate.Result) *translate.Result {
	if w.IntN(10) == 0 {
		w.epoch++
		return translate.Build(w.view, w.placed(o), prev)
	}
	var services []types.NamespacedName
	fast := prev != nil
	for range w.IntN(3) {
		if changed := w.edit(); changed != nil {
			services = append(services, changed...)
		} else {
			fast = false
		}
	}
	if w.IntN(3) == 0 {
		w.touch()
		fast = false
	}
	if fast && len(services) > 0 {
		return translate.Endpoints(w.view, w.placed(o), prev, services)
	}
	return translate.Build(w.view, w.placed(o), prev)
}

// placed returns the Options with the placement of the moment.
func (w *world) placed(o translate.Options) translate.Options {
	o.Placement = placement{offset: 10000, lacks: [...]string{"a", "b", "none"}[w.epoch%3]}
	return o
}

// checkSharing checks that what is equal in two successive Results and could be shared is shared.
func checkSharing(t *testing.T, prev, next *translate.Result) {
	t.Helper()
	for id, b := range next.Snapshot.Backends {
		if old := prev.Snapshot.Backends[id]; old != nil && old != b && reflect.DeepEqual(old, b) {
			t.Fatalf("backend %s is equal but not the same", id)
		}
	}
}

// TestUnchangedIsShared changes one object among others and checks what keeps its pointer.
func TestUnchangedIsShared(t *testing.T) {
	v := view.New()
	for _, d := range view.Parse("", []byte(sharingObjects)) {
		v.Set(d.Object)
	}
	first := translate.Build(v, testOptions(), nil)
	if again := translate.Build(v, testOptions(), first); again.Snapshot != first.Snapshot || again.Report != first.Report {
		t.Error("a build without changes makes another Snapshot or Report")
	}
	changed := v.Ingresses[types.NamespacedName{Namespace: "default", Name: "one"}].DeepCopy()
	changed.Spec.Rules[0].HTTP.Paths[0].Path = "/changed"
	v.Set(changed)
	second := translate.Build(v, testOptions(), first)

	hosts := func(r *translate.Result) map[string]*proxy.Host {
		m := map[string]*proxy.Host{}
		for _, l := range r.Snapshot.Listeners {
			for _, h := range l.Hosts {
				m[l.ID.String()+" "+h.Name] = h
			}
		}
		return m
	}
	old := hosts(first)
	for name, h := range hosts(second) {
		if same, want := h == old[name], h.Name != "one.example.com"; same != want {
			t.Errorf("%s: same is %v, want %v", name, same, want)
		}
	}
	for id, b := range second.Snapshot.Backends {
		if b != first.Snapshot.Backends[id] {
			t.Errorf("backend %s is not the same", id)
		}
	}
	for key, entry := range second.Report.Ingresses {
		if same, want := entry == first.Report.Ingresses[key], key.Name != "one"; same != want {
			t.Errorf("report of %s: same is %v, want %v", key, same, want)
		}
	}
}

// TestStatusWriteChangesNothing: our own writes of status come back as objects with a new pointer.
func TestStatusWriteChangesNothing(t *testing.T) {
	v := view.New()
	for _, d := range view.Parse("", []byte(sharingObjects)) {
		d.Object.SetUID(types.UID(d.Object.GetName()))
		d.Object.SetGeneration(1)
		v.Set(d.Object)
	}
	first := translate.Build(v, testOptions(), nil)
	for _, i := range v.Ingresses {
		v.Set(i.DeepCopy())
	}
	for _, g := range v.Gateways {
		v.Set(g.DeepCopy())
	}
	if again := translate.Build(v, testOptions(), first); again.Snapshot != first.Snapshot || again.Report != first.Report {
		t.Error("a write of statuses makes another Snapshot or Report")
	}
}

const sharingObjects = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: one}
spec: {rules: [{host: one.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: two}
spec: {rules: [{host: two.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: breakwater, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: web, port: 80}]}]}
`
