package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// healthy and broken are what a client sees of the backend, and of the fault.
func healthy(name string) reply { return reply{http.StatusOK, name} }

func broken() reply { return reply{status: http.StatusTeapot} }

// chaosWorld is a namespace that lets itself be broken, with an Ingress called app at the host NAMESPACE.example.
func chaosWorld(t *testing.T) *world {
	t.Helper()
	api.installChaos(t)
	w := newWorld(t)
	w.optIn(v1alpha1.ChaosEnabled)
	w.service("app", w.backend("app"))
	w.create(w.ingress("app", w.host(), "app"))
	return w
}

func (w *world) host() string { return w.ns + ".example" }

func (w *world) optIn(value string) {
	w.t.Helper()
	update(w, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.ns}}, func(ns *corev1.Namespace) {
		ns.Labels[v1alpha1.LabelChaos] = value
	})
}

// abort returns a NetworkChaos that answers all requests of the Ingress app.
func (w *world) abort(name string, duration v1alpha1.Duration) *v1alpha1.NetworkChaos {
	status := int32(http.StatusTeapot)
	return &v1alpha1.NetworkChaos{ObjectMeta: w.meta(name), Spec: v1alpha1.NetworkChaosSpec{
		TargetRefs: []v1alpha1.TargetRef{{Kind: "Ingress", Name: "app"}},
		Duration:   &duration,
		Toxics:     []v1alpha1.Toxic{{Type: v1alpha1.ToxicAbort, Abort: &v1alpha1.Abort{Status: &status}}},
	}}
}

// guarded creates a NetworkChaos that fails all requests of the Ingress app, until its guard halts it for that.
func (w *world) guarded(name string) *v1alpha1.NetworkChaos {
	w.t.Helper()
	o := w.abort(name, "1h")
	percent, failing := 1.0, int32(http.StatusInternalServerError)
	o.Spec.Toxics[0].Abort.Status = &failing
	o.Spec.Guard = &v1alpha1.Guard{Window: "10s", MinRequests: 5, MaxErrorPercent: &percent}
	w.create(o)
	return o
}

// halted waits until a replica has a NetworkChaos halted.
func (w *world) halted(b *breakwater, name string) {
	w.t.Helper()
	id := proxy.ObjectID{Kind: v1alpha1.KindNetworkChaos, Namespace: w.ns, Name: name}
	eventually(w.t, name+" is halted", func() error {
		for _, s := range b.chaos.Status() {
			if s.ID == id && s.Phase == proxy.ExperimentHalted {
				return nil
			}
		}
		return fmt.Errorf("%+v", b.chaos.Status())
	})
}

// expectCondition waits until a condition of a NetworkChaos has this reason.
func (w *world) expectCondition(name, kind string, state metav1.ConditionStatus, reason string) *v1alpha1.NetworkChaos {
	w.t.Helper()
	var o v1alpha1.NetworkChaos
	eventually(w.t, name+" is "+kind+" "+reason, func() error {
		w.get(name, &o)
		c := meta.FindStatusCondition(o.Status.Conditions, kind)
		if c == nil || c.Status != state || c.Reason != reason || c.ObservedGeneration != o.Generation {
			return fmt.Errorf("conditions: %+v", o.Status.Conditions)
		}
		return nil
	})
	return &o
}

// expectChaosEvent waits until there is an Event of a NetworkChaos with this reason and text.
func (w *world) expectChaosEvent(name, reason, text string) {
	w.t.Helper()
	eventually(w.t, "the event "+reason+" of "+name, func() error {
		var list eventsv1.EventList
		if err := api.List(w.t.Context(), &list, client.InNamespace(w.ns)); err != nil {
			return err
		}
		var got []string
		for _, e := range list.Items {
			if e.Regarding.Name == name && e.Regarding.Kind == v1alpha1.KindNetworkChaos {
				if e.Reason == reason && strings.Contains(e.Note, text) {
					return nil
				}
				got = append(got, e.Reason+" "+e.Note)
			}
		}
		return fmt.Errorf("got %q, want %q", got, text)
	})
}

func (w *world) expectEvents(name string, reasons ...string) {
	w.t.Helper()
	eventually(w.t, "events of "+name, func() error {
		var list eventsv1.EventList
		if err := api.List(w.t.Context(), &list, client.InNamespace(w.ns)); err != nil {
			return err
		}
		var got []string
		for _, e := range list.Items {
			if e.Regarding.Name == name && e.Regarding.Kind == v1alpha1.KindNetworkChaos {
				got = append(got, e.Reason)
			}
		}
		for _, reason := range reasons {
			if !slices.Contains(got, reason) {
				return fmt.Errorf("got %v, want %v", got, reasons)
			}
		}
		return nil
	})
}

func TestChaosActsUntilItsDeadlineAndSaysSo(t *testing.T) {
	w := chaosWorld(t)
	b := start(t)
	b.expect(t, b.ingressPort, w.host(), healthy("app"))
	w.create(w.abort("brief", "20s"))
	o := w.expectCondition("brief", v1alpha1.ConditionActive, metav1.ConditionTrue, v1alpha1.ReasonInjecting)
	b.must(t, b.ingressPort, w.host(), broken())
	if end := o.Status.EndTime; end == nil || !end.Time.Equal(o.CreationTimestamp.Add(20*time.Second)) || o.Status.Target != "Ingress/app" {
		t.Errorf("status: %+v", o.Status)
	}
	for kind, state := range map[string]metav1.ConditionStatus{
		v1alpha1.ConditionAccepted: metav1.ConditionTrue, v1alpha1.ConditionHalted: metav1.ConditionFalse, v1alpha1.ConditionExpired: metav1.ConditionFalse,
	} {
		if !meta.IsStatusConditionPresentAndEqual(o.Status.Conditions, kind, state) {
			t.Errorf("%s is not %s: %+v", kind, state, o.Status.Conditions)
		}
	}
	o = w.expectCondition("brief", v1alpha1.ConditionExpired, metav1.ConditionTrue, v1alpha1.ReasonExpired)
	b.must(t, b.ingressPort, w.host(), healthy("app"))
	w.expectEvents("brief", v1alpha1.EventStarted, v1alpha1.EventStopped)
	eventually(t, "counts", func() error {
		w.get("brief", o)
		if c := o.Status.Counts; c == nil || c.Matched < 1 || c.Injected != c.Matched {
			return fmt.Errorf("counts: %+v", c)
		}
		return nil
	})
}

// kubectl get shows what the API server makes of the print columns: each is of its own field, those of -o wide too.
func TestChaosColumns(t *testing.T) {
	w := chaosWorld(t)
	w.create(w.abort("a", "1h")) // no replica runs that would write its status
	condition := func(kind, reason string) metav1.Condition {
		return metav1.Condition{
			Type: kind, Status: metav1.ConditionTrue, Reason: reason, Message: "it is " + kind, LastTransitionTime: metav1.Now(),
		}
	}
	start := metav1.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)
	end := metav1.NewTime(start.Add(time.Hour))
	var o v1alpha1.NetworkChaos
	w.get("a", &o)
	o.Status = v1alpha1.NetworkChaosStatus{
		Target: "Ingress/app", StartTime: &start, EndTime: &end,
		Counts: &v1alpha1.Counts{Matched: 4, Injected: 3, SkippedByCap: 2, DryRun: 1},
		Conditions: []metav1.Condition{
			condition(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted), condition(v1alpha1.ConditionHalted, v1alpha1.ReasonHalted),
			condition(v1alpha1.ConditionActive, v1alpha1.ReasonInjecting), condition(v1alpha1.ConditionExpired, v1alpha1.ReasonExpired),
		},
	}
	if err := api.Status().Update(t.Context(), &o); err != nil {
		t.Fatal(err)
	}
	const always, wide = 0, 1 // priorities
	type column struct {
		name     string
		priority int32
		cell     string
	}
	want := []column{
		{"Name", always, "a"}, {"Target", always, "Ingress/app"}, {"At", always, string(v1alpha1.PointClient)},
		{"State", always, v1alpha1.ReasonInjecting}, {"Injected", always, "3"}, {"Matched", wide, "4"}, {"Capped", wide, "2"}, {"Dry", wide, "1"},
		{"Starts", wide, "2026-01-01T10:00:00Z"}, {"Ends", always, "2026-01-01T11:00:00Z"}, {"Message", wide, "it is Active"}, {"Age", always, "age"},
	}
	table := w.table("networkchaos", "a")
	var got []column
	for i, c := range table.ColumnDefinitions {
		cell := fmt.Sprint(table.Rows[0].Cells[i])
		if _, err := time.ParseDuration(cell); c.Name == "Age" && err == nil {
			cell = "age"
		}
		got = append(got, column{c.Name, c.Priority, cell})
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// table returns one object as kubectl get asks for it.
func (w *world) table(resource, name string) *metav1.Table {
	w.t.Helper()
	config := rest.CopyConfig(api.config)
	config.APIPath, config.GroupVersion = "/apis", &metav1.SchemeGroupVersion
	config.NegotiatedSerializer = codecs()
	c, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		w.t.Fatal(err)
	}
	var table metav1.Table
	err = c.Get().AbsPath("/apis", v1alpha1.GroupVersion().String(), "namespaces", w.ns, resource, name).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(w.t.Context()).Into(&table)
	if err != nil || len(table.Rows) != 1 {
		w.t.Fatalf("%d rows, %v", len(table.Rows), err)
	}
	return &table
}

func TestChaosEndsWithItsObject(t *testing.T) {
	w := chaosWorld(t)
	b := start(t)
	o := w.abort("a", "1h")
	w.create(o)
	b.expect(t, b.ingressPort, w.host(), broken())
	update(w, o, func(o *v1alpha1.NetworkChaos) { o.Spec.Suspend = true })
	b.expect(t, b.ingressPort, w.host(), healthy("app"))
	w.expectCondition("a", v1alpha1.ConditionActive, metav1.ConditionFalse, v1alpha1.ReasonSuspended)
	update(w, o, func(o *v1alpha1.NetworkChaos) { o.Spec.Suspend, o.Spec.DryRun = false, true })
	w.expectCondition("a", v1alpha1.ConditionActive, metav1.ConditionTrue, v1alpha1.ReasonDryRun)
	w.expectChaosEvent("a", v1alpha1.EventStarted, "faults are counted, not injected")
	update(w, o, func(o *v1alpha1.NetworkChaos) { o.Spec.DryRun = false })
	b.expect(t, b.ingressPort, w.host(), broken())
	w.expectCondition("a", v1alpha1.ConditionActive, metav1.ConditionTrue, v1alpha1.ReasonInjecting)
	w.expectChaosEvent("a", v1alpha1.EventStarted, "faults are being injected")
	if err := api.Delete(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	b.expect(t, b.ingressPort, w.host(), healthy("app"))
	w.expectChaosEvent("a", v1alpha1.EventStopped, "Ingress/app: it has been deleted (")
}

// What nothing leads to is not said to be broken, until something does.
func TestChaosWithoutTraffic(t *testing.T) {
	w := chaosWorld(t)
	b := start(t)
	in := w.ingress("other", "other."+w.host(), "app")
	foreign := "somebody-else"
	in.Spec.IngressClassName = &foreign
	w.create(in)
	o := w.abort("a", "1h")
	o.Spec.TargetRefs[0].Name = "other"
	w.create(o)
	w.expectCondition("a", v1alpha1.ConditionActive, metav1.ConditionFalse, v1alpha1.ReasonNoTraffic)
	update(w, in, func(in *networkingv1.Ingress) { *in.Spec.IngressClassName = class })
	w.expectCondition("a", v1alpha1.ConditionActive, metav1.ConditionTrue, v1alpha1.ReasonInjecting)
	w.expectChaosEvent("a", v1alpha1.EventStarted, "faults are being injected")
	b.must(t, b.ingressPort, "other."+w.host(), broken())
}

// Results outlive the target of an experiment, and the replica that has counted.
func TestChaosKeepsItsResults(t *testing.T) {
	w := chaosWorld(t)
	b := start(t)
	in := &networkingv1.Ingress{ObjectMeta: w.meta("app")}
	w.create(w.abort("a", "1h"))
	b.expect(t, b.ingressPort, w.host(), broken())
	o := w.expectCondition("a", v1alpha1.ConditionActive, metav1.ConditionTrue, v1alpha1.ReasonInjecting)
	w.get("app", in)
	if err := api.Delete(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	results := func() {
		t.Helper()
		got := w.expectCondition("a", v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonTargetNotFound).Status
		if got.Counts == nil || got.Counts.Injected == 0 || !got.StartTime.Equal(o.Status.StartTime) || !got.EndTime.Equal(o.Status.EndTime) {
			t.Errorf("counts %+v, from %v to %v", got.Counts, got.StartTime, got.EndTime)
		}
	}
	results()
	w.expectChaosEvent("a", v1alpha1.EventStopped, "it is not accepted: ")
	b.stop()
	_ = startReplica(t, "b", "127.0.0.2", lease)
	eventually(t, "the next replica leads", func() error { return w.leader("b") })
	w.create(w.abort("later", "1h"))
	w.expectCondition("later", v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonTargetNotFound) // it has written by now
	results()
}

// Who restarts the replica that leads does not read that faults have been stopped.
func TestChaosSaysNothingOfARestart(t *testing.T) {
	w := chaosWorld(t)
	b := start(t)
	w.create(w.abort("a", "1h"))
	b.expect(t, b.ingressPort, w.host(), broken())
	w.expectCondition("a", v1alpha1.ConditionActive, metav1.ConditionTrue, v1alpha1.ReasonInjecting)
	b.stop()
	b = start(t)
	b.expect(t, b.ingressPort, w.host(), broken())
	w.create(w.abort("later", "1h"))
	w.expectCondition("later", v1alpha1.ConditionActive, metav1.ConditionTrue, v1alpha1.ReasonInjecting) // it has written by now
	w.expectCondition("a", v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonOverlapping)
	var list eventsv1.EventList
	if err := api.List(t.Context(), &list, client.InNamespace(w.ns)); err != nil {
		t.Fatal(err)
	}
	for _, e := range list.Items {
		if e.Reason == v1alpha1.EventStopped {
			t.Errorf("%s: %s", e.Regarding.Name, e.Note)
		}
	}
}

func TestChaosNeedsTheNamespaceToOptIn(t *testing.T) {
	w := chaosWorld(t)
	w.optIn(v1alpha1.ChaosDisabled)
	b := start(t)
	w.create(w.abort("a", "1h"))
	w.expectCondition("a", v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNamespaceNotEnabled)
	b.must(t, b.ingressPort, w.host(), healthy("app"))
	w.optIn(v1alpha1.ChaosEnabled)
	w.expectCondition("a", v1alpha1.ConditionActive, metav1.ConditionTrue, v1alpha1.ReasonInjecting)
	b.must(t, b.ingressPort, w.host(), broken())
}

func TestChaosKillSwitchWins(t *testing.T) {
	w := chaosWorld(t)
	b := start(t)
	w.create(w.abort("a", "1h"))
	b.expect(t, b.ingressPort, w.host(), broken())
	off := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "breakwater-chaos"}, Data: map[string]string{"chaos": "off"}}
	w.create(off)
	b.expect(t, b.ingressPort, w.host(), healthy("app"))
	o := w.expectCondition("a", v1alpha1.ConditionActive, metav1.ConditionFalse, v1alpha1.ReasonSwitchedOff)
	active := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionActive)
	if want := "chaos is off in all replicas, switched off by the ConfigMap " + systemNamespace + "/breakwater-chaos"; active.Message != want {
		t.Errorf("got %q, want %q", active.Message, want)
	}
	update(w, off, func(m *corev1.ConfigMap) { m.Data["chaos"] = "on" })
	b.expect(t, b.ingressPort, w.host(), broken())
}

func TestChaosInAnotherNamespaceNeedsAGrant(t *testing.T) {
	api.installGatewayAPI(t)
	w := chaosWorld(t)
	b := start(t)
	other := emptyWorld(t, "chaos-grant-other")
	o := other.abort("a", "1h")
	o.Spec.TargetRefs[0].Namespace = &w.ns
	other.create(o)
	other.expectCondition("a", v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonRefNotPermitted)
	b.must(t, b.ingressPort, w.host(), healthy("app"))
	w.create(&gatewayv1.ReferenceGrant{ObjectMeta: w.meta("g"), Spec: gatewayv1.ReferenceGrantSpec{
		From: []gatewayv1.ReferenceGrantFrom{{Group: v1alpha1.Group, Kind: v1alpha1.KindNetworkChaos, Namespace: gatewayv1.Namespace(other.ns)}},
		To:   []gatewayv1.ReferenceGrantTo{{Group: "networking.k8s.io", Kind: "Ingress"}},
	}})
	b.expect(t, b.ingressPort, w.host(), broken())
}

// A guard halts where it measures; the status carries the halt to the other replica, and the latch to a new one.
func TestChaosHaltReachesAllReplicas(t *testing.T) {
	w := chaosWorld(t)
	a, b := startReplica(t, "a", "127.0.0.1", lease), startReplica(t, "b", "127.0.0.2", lease)
	o := w.guarded("a")
	b.expect(t, b.ingressPort, w.host(), reply{status: http.StatusInternalServerError})
	a.expect(t, a.ingressPort, w.host(), reply{status: http.StatusInternalServerError})
	eventually(t, "b halts it", func() error {
		got, err := b.ask(b.ingressPort, w.host())
		if err == nil && got != healthy("app") {
			err = fmt.Errorf("got %v", got)
		}
		return err
	})
	w.halted(a, "a") // it is not asked meanwhile, so that it has too few to halt by itself
	a.must(t, a.ingressPort, w.host(), healthy("app"))
	got := w.expectCondition("a", v1alpha1.ConditionHalted, metav1.ConditionTrue, v1alpha1.ReasonHalted)
	if got.Status.Halt == nil || got.Status.Halt.Message == "" {
		t.Errorf("halt: %+v", got.Status.Halt)
	}
	w.expectEvents("a", v1alpha1.ReasonHalted)
	c := startReplica(t, "c", "127.0.0.3", lease)
	c.must(t, c.ingressPort, w.host(), healthy("app"))
	update(w, o, func(o *v1alpha1.NetworkChaos) { o.Spec.Rearm, o.Spec.Guard = "1", nil })
	for _, r := range []*breakwater{a, b, c} {
		r.expect(t, r.ingressPort, w.host(), reply{status: http.StatusInternalServerError})
	}
	w.expectCondition("a", v1alpha1.ConditionHalted, metav1.ConditionFalse, v1alpha1.ReasonNotHalted)
}

// One replica is armed again, and so are all; what halts one of them afterwards halts all once more.
func TestChaosIsArmedAgainInAllReplicas(t *testing.T) {
	w := chaosWorld(t)
	a, b := startReplica(t, "a", "127.0.0.1", lease), startReplica(t, "b", "127.0.0.2", lease)
	w.guarded("x")
	injected := reply{status: http.StatusInternalServerError}
	all := []*breakwater{a, b}
	for round, halting := range []*breakwater{a, b, a} { // not always the one that has been armed again, or leads
		for _, r := range all {
			r.expect(t, r.ingressPort, w.host(), injected)
		}
		eventually(t, "a guard halts it", func() error {
			got, err := halting.ask(halting.ingressPort, w.host())
			if err == nil && got != healthy("app") {
				err = fmt.Errorf("got %v", got)
			}
			return err
		})
		for _, r := range all {
			w.halted(r, "x") // it is not asked meanwhile, so that no guard but the one halts it: its halt would be one of its own
			r.must(t, r.ingressPort, w.host(), healthy("app"))
		}
		halted := w.expectCondition("x", v1alpha1.ConditionHalted, metav1.ConditionTrue, v1alpha1.ReasonHalted)
		w.expectCondition("x", v1alpha1.ConditionActive, metav1.ConditionFalse, v1alpha1.ReasonHalted)
		if halted.Status.Halts != int64(round+1) || halted.Status.Halt == nil {
			t.Errorf("halt %d: %+v", round+1, halted.Status)
		}
		if !a.chaos.Rearm(proxy.ObjectID{Kind: v1alpha1.KindNetworkChaos, Namespace: w.ns, Name: "x"}) {
			t.Error("it was not halted")
		}
		w.expectCondition("x", v1alpha1.ConditionHalted, metav1.ConditionFalse, v1alpha1.ReasonNotHalted)
		w.expectCondition("x", v1alpha1.ConditionActive, metav1.ConditionTrue, v1alpha1.ReasonInjecting)
	}
	all = append(all, startReplica(t, "c", "127.0.0.3", lease))
	for _, r := range all {
		r.expect(t, r.ingressPort, w.host(), injected)
	}
}

// A Secret is read only if a Role in its namespace says so.
func TestChaosTokenSecretNeedsARole(t *testing.T) {
	w := chaosWorld(t)
	_ = start(t)
	w.create(&corev1.Secret{ObjectMeta: w.meta("key"), StringData: map[string]string{"key": "secret"}})
	o, header := w.abort("a", "1h"), "X-Chaos"
	o.Spec.Token = &v1alpha1.Token{Header: &header, SecretRef: v1alpha1.SecretKeyRef{Name: "key"}}
	w.create(o)
	w.expectCondition("a", v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
	w.create(&rbacv1.Role{ObjectMeta: w.meta("key"), Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"key"}, Verbs: []string{"list", "watch"}},
	}})
	w.create(&rbacv1.RoleBinding{
		ObjectMeta: w.meta("key"), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "key"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: systemNamespace, Name: "breakwater"}},
	})
	w.expectCondition("a", v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
}

// Pods are looked up by the labels that an experiment asks for, and only while one does.
func TestChaosSelectsEndpointsByPodLabels(t *testing.T) {
	w := chaosWorld(t)
	b := start(t)
	o := w.abort("a", "1h")
	o.Spec.At = v1alpha1.PointBackend
	o.Spec.Endpoints = &v1alpha1.EndpointSelector{PodSelector: &v1alpha1.PodSelector{MatchLabels: map[string]v1alpha1.LabelValue{"sick": "yes"}}}
	w.create(o)
	w.expectCondition("a", v1alpha1.ConditionActive, metav1.ConditionFalse, v1alpha1.ReasonNoTraffic)
	pods := func() map[string]struct{} {
		for _, x := range b.server.Snapshot().Experiments {
			if x.ID.Namespace == w.ns {
				return x.Endpoints.Pods
			}
		}
		return nil
	}
	pod := &corev1.Pod{ObjectMeta: w.meta("one"), Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	pod.Labels = map[string]string{"sick": "yes"}
	w.create(&corev1.Pod{ObjectMeta: w.meta("two"), Spec: pod.Spec})
	w.create(pod)
	expect := func(want string) {
		t.Helper()
		eventually(t, "pods", func() error {
			if got := fmt.Sprint(pods()); got != want {
				return fmt.Errorf("got %s, want %s", got, want)
			}
			return nil
		})
	}
	expect("map[" + w.ns + "/one:{}]")
	update(w, pod, func(p *corev1.Pod) { p.Labels["sick"] = "no" })
	expect("map[]")
}
