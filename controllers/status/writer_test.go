package status_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/status"
)

const controller = "breakwater-gateway.io/controller"

// cluster is an API in memory that counts writes.
type cluster struct {
	client.Client
	mu        sync.Mutex
	reads     int      // guarded by mu
	classes   int      // reads of a class; guarded by mu
	writes    int      // guarded by mu
	conflicts int      // writes that will fail with a conflict; guarded by mu
	events    []string // guarded by mu
}

func newCluster(t *testing.T, objects ...client.Object) *cluster {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	if err := gatewayv1.Install(scheme); err != nil {
		t.Fatal(err)
	}
	c := &cluster{}
	c.Client = interceptor.NewClient(
		fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(objects...).Build(),
		interceptor.Funcs{Get: func(ctx context.Context, inner client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			c.mu.Lock()
			c.reads++
			switch o.(type) {
			case *gatewayv1.GatewayClass, *networkingv1.IngressClass:
				c.classes++
			}
			c.mu.Unlock()
			return inner.Get(ctx, key, o, opts...)
		}, SubResourcePatch: func(ctx context.Context, inner client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			c.mu.Lock()
			c.writes++
			conflict := c.conflicts > 0
			if conflict {
				c.conflicts--
			}
			c.mu.Unlock()
			if conflict {
				return apierrors.NewConflict(schema.GroupResource{Resource: "objects"}, o.GetName(), fmt.Errorf("changed meanwhile"))
			}
			return inner.SubResource(sub).Patch(ctx, o, p, opts...)
		}},
	)
	return c
}

func (c *cluster) Eventf(regarding, _ runtime.Object, kind, reason, _, note string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, regarding.(client.Object).GetName()+" "+kind+" "+reason+" "+fmt.Sprintf(note, args...))
}

func (c *cluster) writer(stale client.Reader) *status.Writer {
	if stale == nil {
		stale = c
	}
	return status.NewWriter(status.Config{
		Controller: controller, Cached: stale, Fresh: c, Status: c, Events: c,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return later.Time }, Workers: 2,
		Provisioned: client.MatchingLabels{"managed-by": "us"},
	})
}

// lead runs w until f returns, as a leader does.
func lead(w *status.Writer, f func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { w.Run(ctx) })
	f()
	cancel()
	wg.Wait()
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not so after 20 s")
		}
	}
}

func (c *cluster) read() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reads
}

func (c *cluster) looked(n int) func() bool {
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.classes >= n
	}
}

func (c *cluster) wrote(n int) func() bool {
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.writes >= n
	}
}

var (
	earlier = metav1.NewTime(time.Unix(1_000_000, 0))
	later   = metav1.NewTime(time.Unix(2_000_000, 0))
	web     = types.NamespacedName{Namespace: "ns", Name: "web"}
)

func objectMeta() metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "uid", Generation: 3}
}

func ingressReport(ip string, events ...status.Event) *status.Report {
	r := status.New()
	r.Ingresses[web] = &status.Ingress{
		UID: "uid", Generation: 3, Events: events,
		LoadBalancer: []networkingv1.IngressLoadBalancerIngress{{IP: ip}},
	}
	return r
}

func (c *cluster) ingressIP(t *testing.T) string {
	t.Helper()
	var i networkingv1.Ingress
	if err := c.Get(t.Context(), web, &i); err != nil {
		t.Fatal(err)
	}
	if len(i.Status.LoadBalancer.Ingress) == 0 {
		return ""
	}
	return i.Status.LoadBalancer.Ingress[0].IP
}

func TestNothingIsWrittenUnlessLeading(t *testing.T) {
	c := newCluster(t, &networkingv1.Ingress{ObjectMeta: objectMeta()})
	w := c.writer(nil)
	w.Report(ingressReport("192.0.2.1"))
	if c.writes != 0 || c.ingressIP(t) != "" {
		t.Error("written without leading")
	}
	lead(w, func() { eventually(t, func() bool { return c.ingressIP(t) == "192.0.2.1" }) })
}

func TestWhatIsAsDesiredIsNotWritten(t *testing.T) {
	c := newCluster(t, &networkingv1.Ingress{ObjectMeta: objectMeta()})
	w := c.writer(nil)
	lead(w, func() {
		w.Report(ingressReport("192.0.2.1"))
		eventually(t, c.wrote(1))
		w.Report(ingressReport("192.0.2.1"))
		w.Check(status.Key{Kind: "Ingress", NamespacedName: web})
		w.Report(ingressReport("192.0.2.2"))
		eventually(t, func() bool { return c.ingressIP(t) == "192.0.2.2" })
	})
	lead(w, func() {}) // a second term finds everything as it should be
	if c.writes != 2 {
		t.Errorf("%d writes, want one for each change", c.writes)
	}
}

func TestAConflictIsResolvedByReadingAgain(t *testing.T) {
	object := &networkingv1.Ingress{ObjectMeta: objectMeta()}
	c := newCluster(t, object)
	c.conflicts = 1
	w := c.writer(nil)
	w.Report(ingressReport("192.0.2.1"))
	lead(w, func() { eventually(t, func() bool { return c.ingressIP(t) == "192.0.2.1" }) })
	if c.writes != 2 {
		t.Errorf("%d writes, want one conflict and one success", c.writes)
	}
}

func TestAStaleCacheNeverOverwritesWhatOthersWrote(t *testing.T) {
	c := newCluster(t, routeWith())
	stale := newCluster(t, routeWith())
	var newer gatewayv1.HTTPRoute
	if err := c.Get(t.Context(), web, &newer); err != nil {
		t.Fatal(err)
	}
	newer.Status.Parents = []gatewayv1.RouteParentStatus{parent("theirs", "example.com/other")}
	if err := c.Status().Update(t.Context(), &newer); err != nil {
		t.Fatal(err)
	}
	w := c.writer(stale)
	r := status.New()
	r.HTTPRoutes[web] = &status.Route{Kind: status.HTTPRoute, UID: "uid", Generation: 3, Parents: []gatewayv1.RouteParentStatus{parent("a", controller)}}
	w.Report(r)
	ours := func() bool {
		err := c.Get(t.Context(), web, &newer)
		return err == nil && slices.ContainsFunc(newer.Status.Parents, func(p gatewayv1.RouteParentStatus) bool { return p.ControllerName == controller })
	}
	lead(w, func() { eventually(t, ours) })
	if len(newer.Status.Parents) != 2 {
		t.Errorf("the other's entry is lost: %v", plain(newer.Status.Parents))
	}
}

func TestAnObjectThatWasMadeAnewWaitsForItsOwnReport(t *testing.T) {
	for name, change := range map[string]func(*metav1.ObjectMeta){
		"another object of the name": func(m *metav1.ObjectMeta) { m.UID = "another" },
		"a later generation":         func(m *metav1.ObjectMeta) { m.Generation = 4 },
	} {
		t.Run(name, func(t *testing.T) {
			m := objectMeta()
			change(&m)
			other := objectMeta()
			other.Name = "other"
			c := newCluster(t, &networkingv1.Ingress{ObjectMeta: m}, &networkingv1.Ingress{ObjectMeta: other})
			w := c.writer(nil)
			r := ingressReport("192.0.2.1")
			w.Report(r)
			r = ingressReport("192.0.2.1")
			r.Ingresses[types.NamespacedName{Namespace: "ns", Name: "other"}] = r.Ingresses[web]
			lead(w, func() { w.Report(r); eventually(t, c.wrote(1)) })
			if got := c.ingressIP(t); got != "" {
				t.Errorf("the object got %s", got)
			}
		})
	}
}

func TestAnEventIsEmittedOnceWhileItsCauseLasts(t *testing.T) {
	c := newCluster(t, &networkingv1.Ingress{ObjectMeta: objectMeta()})
	w := c.writer(nil)
	cause := status.Warning(status.ReasonServiceNotFound, "100% missing")
	emitted := func(n int) func() bool {
		return func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.events) >= n }
	}
	step := func(ip string, events ...status.Event) {
		t.Helper()
		w.Report(ingressReport(ip, events...))
		eventually(t, func() bool { return c.ingressIP(t) == ip })
	}
	lead(w, func() {
		step("192.0.2.1", cause)
		eventually(t, emitted(1))
		step("192.0.2.2", cause)
		step("192.0.2.3")
		step("192.0.2.4", cause)
		eventually(t, emitted(2))
	})
	want := "web Warning ServiceNotFound 100% missing"
	if !slices.Equal(c.events, []string{want, want}) {
		t.Errorf("emitted %q, want one for each time that the cause appears", c.events)
	}
}

func condition(kind string, state metav1.ConditionStatus, at metav1.Time) metav1.Condition {
	return metav1.Condition{Type: kind, Status: state, Reason: "R", LastTransitionTime: at, ObservedGeneration: 3}
}

func parent(name, owner string, conditions ...metav1.Condition) gatewayv1.RouteParentStatus {
	return gatewayv1.RouteParentStatus{
		ParentRef: gatewayv1.ParentReference{Name: gatewayv1.ObjectName(name)}, ControllerName: gatewayv1.GatewayController(owner), Conditions: conditions,
	}
}

func routeWith(parents ...gatewayv1.RouteParentStatus) *gatewayv1.HTTPRoute {
	r := &gatewayv1.HTTPRoute{ObjectMeta: objectMeta()}
	r.Status.Parents = parents
	return r
}

func TestRouteStatusMerging(t *testing.T) {
	theirs := parent("theirs", "example.com/other", condition("Accepted", metav1.ConditionTrue, earlier))
	for name, c := range map[string]struct {
		before, desired, want []gatewayv1.RouteParentStatus
		writes                int
	}{
		"a new entry comes last": {
			[]gatewayv1.RouteParentStatus{theirs},
			[]gatewayv1.RouteParentStatus{parent("a", controller, condition("Accepted", "True", metav1.Time{}))},
			[]gatewayv1.RouteParentStatus{theirs, parent("a", controller, condition("Accepted", "True", later))}, 1,
		},
		"the order of others is kept": {
			[]gatewayv1.RouteParentStatus{parent("a", controller, condition("Accepted", "True", earlier)), theirs},
			[]gatewayv1.RouteParentStatus{parent("a", controller, condition("Accepted", "True", metav1.Time{}))},
			[]gatewayv1.RouteParentStatus{parent("a", controller, condition("Accepted", "True", earlier)), theirs}, 0,
		},
		"the time changes with the status only": {
			[]gatewayv1.RouteParentStatus{parent("a", controller, condition("Accepted", "True", earlier), condition("ResolvedRefs", "True", earlier))},
			[]gatewayv1.RouteParentStatus{parent("a", controller, condition("Accepted", "True", metav1.Time{}), condition("ResolvedRefs", "False", metav1.Time{}))},
			[]gatewayv1.RouteParentStatus{parent("a", controller, condition("Accepted", "True", earlier), condition("ResolvedRefs", "False", later))}, 1,
		},
		"conditions of others stay, ours that are gone go": {
			[]gatewayv1.RouteParentStatus{parent("a", controller, condition("example.com/x", "True", earlier), condition("PartiallyInvalid", "True", earlier))},
			[]gatewayv1.RouteParentStatus{parent("a", controller, condition("Accepted", "True", metav1.Time{}))},
			[]gatewayv1.RouteParentStatus{parent("a", controller, condition("example.com/x", "True", earlier), condition("Accepted", "True", later))}, 1,
		},
		"an entry of ours that is not desired goes": {
			[]gatewayv1.RouteParentStatus{parent("a", controller), theirs, parent("b", controller)},
			nil,
			[]gatewayv1.RouteParentStatus{theirs}, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			marker := &networkingv1.Ingress{ObjectMeta: objectMeta()}
			cl := newCluster(t, routeWith(c.before...), marker)
			w := cl.writer(nil)
			r := ingressReport("192.0.2.1")
			r.HTTPRoutes[web] = &status.Route{Kind: status.HTTPRoute, UID: "uid", Generation: 3, Parents: c.desired}
			lead(w, func() { w.Report(r); eventually(t, cl.wrote(1+c.writes)) })
			var got gatewayv1.HTTPRoute
			if err := cl.Get(t.Context(), web, &got); err != nil {
				t.Fatal(err)
			}
			if a, b := fmt.Sprint(plain(got.Status.Parents)), fmt.Sprint(plain(c.want)); a != b {
				t.Errorf("got\n%s\nwant\n%s", a, b)
			}
			if cl.writes != 1+c.writes {
				t.Errorf("%d writes, want %d", cl.writes-1, c.writes)
			}
		})
	}
}

// plain returns what the test is about, without pointers.
func plain(parents []gatewayv1.RouteParentStatus) (lines []string) {
	for _, p := range parents {
		line := fmt.Sprintf("%s %s", p.ParentRef.Name, p.ControllerName)
		for _, c := range p.Conditions {
			line += fmt.Sprintf(" %s=%s@%d", c.Type, c.Status, c.LastTransitionTime.Unix())
		}
		lines = append(lines, line)
	}
	return lines
}

func TestARouteThatIsNoLongerReportedLosesOurEntries(t *testing.T) {
	theirs := parent("theirs", "example.com/other", condition("Accepted", metav1.ConditionTrue, earlier))
	c := newCluster(t, routeWith(theirs))
	w := c.writer(nil)
	r := status.New()
	r.HTTPRoutes[web] = &status.Route{Kind: status.HTTPRoute, UID: "uid", Generation: 3, Parents: []gatewayv1.RouteParentStatus{parent("a", controller)}}
	parents := func(n int) func() bool {
		return func() bool {
			var got gatewayv1.HTTPRoute
			return c.Get(t.Context(), web, &got) == nil && len(got.Status.Parents) == n
		}
	}
	lead(w, func() {
		w.Report(r)
		eventually(t, parents(2))
		w.Report(status.New())
		eventually(t, parents(1))
	})
}

func TestAnIngressThatIsNoLongerReportedLosesOurAddress(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile string // the address that somebody puts in the place of ours
		want      string
	}{
		"ours":            {"", ""},
		"somebody else's": {"192.0.2.9", "192.0.2.9"},
	} {
		t.Run(name, func(t *testing.T) {
			cl := newCluster(t, &networkingv1.Ingress{ObjectMeta: objectMeta()})
			w := cl.writer(nil)
			lead(w, func() {
				w.Report(ingressReport("192.0.2.1"))
				eventually(t, func() bool { return cl.ingressIP(t) == "192.0.2.1" })
				if c.meanwhile != "" {
					var i networkingv1.Ingress
					if err := cl.Get(t.Context(), web, &i); err != nil {
						t.Fatal(err)
					}
					i.Status.LoadBalancer.Ingress[0].IP = c.meanwhile
					if err := cl.Status().Update(t.Context(), &i); err != nil {
						t.Fatal(err)
					}
				}
				before := cl.read()
				w.Report(status.New())
				eventually(t, func() bool { return cl.read() >= before+2 }) // from the cache, and afresh
			})
			if got := cl.ingressIP(t); got != c.want {
				t.Errorf("the address is %q, want %q", got, c.want)
			}
		})
	}
}

func gatewayWith(class string, conditions ...metav1.Condition) *gatewayv1.Gateway {
	g := &gatewayv1.Gateway{ObjectMeta: objectMeta()}
	g.Spec.GatewayClassName = gatewayv1.ObjectName(class)
	g.Status.Conditions = conditions
	return g
}

func gatewayClass(name, controller string) *gatewayv1.GatewayClass {
	return &gatewayv1.GatewayClass{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: gatewayv1.GatewayClassSpec{ControllerName: gatewayv1.GatewayController(controller)},
	}
}

// gatewayState returns what a Gateway's status says.
func (c *cluster) gatewayState(t *testing.T) (state string) {
	t.Helper()
	var g gatewayv1.Gateway
	if err := c.Get(t.Context(), web, &g); err != nil {
		t.Fatal(err)
	}
	for _, k := range g.Status.Conditions {
		state += fmt.Sprintf("%s=%s %s@%d ", k.Type, k.Status, k.Reason, k.ObservedGeneration)
	}
	return state + fmt.Sprintf("%d addresses, %d listeners", len(g.Status.Addresses), len(g.Status.Listeners))
}

const (
	programmedState = "theirs=True R@3 Accepted=True R@3 Programmed=True R@3 1 addresses, 1 listeners"
	pendingState    = "theirs=True R@3 Accepted=Unknown Pending@3 Programmed=Unknown Pending@3 0 addresses, 0 listeners"
)

func gatewayReport() *status.Report {
	r := status.New()
	r.Gateways[web] = &status.Gateway{
		UID: "uid", Generation: 3, Addresses: []gatewayv1.GatewayStatusAddress{{Value: "192.0.2.1"}},
		Conditions: []metav1.Condition{condition("Accepted", "True", metav1.Time{}), condition("Programmed", "True", metav1.Time{})},
		Listeners:  []gatewayv1.ListenerStatus{{Name: "http", SupportedKinds: []gatewayv1.RouteGroupKind{}}},
	}
	return r
}

// TestAGatewayThatIsNoLongerReportedIsPending: its class is gone, or it names another one.
func TestAGatewayThatIsNoLongerReportedIsPending(t *testing.T) {
	for name, c := range map[string]struct {
		classes []client.Object
		want    string
	}{
		"there is no such class":    {nil, pendingState},
		"the class is ours":         {[]client.Object{gatewayClass("class", controller)}, pendingState},
		"the class is another's":    {[]client.Object{gatewayClass("class", "example.com/other")}, programmedState},
		"only another class exists": {[]client.Object{gatewayClass("other", "example.com/other")}, pendingState},
	} {
		t.Run(name, func(t *testing.T) {
			cl := newCluster(t, append(c.classes, gatewayWith("class", condition("theirs", "True", earlier)))...)
			w := cl.writer(nil)
			lead(w, func() {
				w.Report(gatewayReport())
				eventually(t, func() bool { return cl.gatewayState(t) == programmedState })
				w.Report(status.New())
				eventually(t, cl.looked(2)) // at the class: from the cache, and afresh
			})
			if got := cl.gatewayState(t); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// TestWhatATermLeftUndoneIsDoneInTheNext: a Report that comes in between does not speak of the object either.
func TestWhatATermLeftUndoneIsDoneInTheNext(t *testing.T) {
	c := newCluster(t, gatewayWith("class", condition("theirs", "True", earlier)))
	w := c.writer(nil)
	refuse := func(writes int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.conflicts = writes
	}
	lead(w, func() {
		w.Report(gatewayReport())
		eventually(t, func() bool { return c.gatewayState(t) == programmedState })
		refuse(1_000_000)
		w.Report(status.New())
		eventually(t, c.looked(1))
	})
	w.Report(status.New())
	refuse(0)
	lead(w, func() { eventually(t, func() bool { return c.gatewayState(t) == pendingState }) })
}

func TestANewLeaderRemovesEntriesThatNobodyReports(t *testing.T) {
	theirs := parent("theirs", "example.com/other", condition("Accepted", metav1.ConditionTrue, earlier))
	c := newCluster(t, routeWith(parent("gone", controller), theirs))
	w := c.writer(nil)
	parents := func() int {
		var got gatewayv1.HTTPRoute
		if err := c.Get(t.Context(), web, &got); err != nil {
			t.Fatal(err)
		}
		return len(got.Status.Parents)
	}
	lead(w, func() {}) // without any Report nothing is known to be gone
	if parents() != 2 {
		t.Fatal("removed before the first Report")
	}
	lead(w, func() {
		w.Report(status.New())
		eventually(t, func() bool { return parents() == 1 })
	})
}

func TestEveryKindOfRouteIsWrittenAndSweptOut(t *testing.T) {
	ours, theirs := parent("gone", controller), parent("theirs", "example.com/other")
	tcp, udp := &gatewayv1.TCPRoute{ObjectMeta: objectMeta()}, &gatewayv1.UDPRoute{ObjectMeta: objectMeta()}
	tcp.Status.Parents = []gatewayv1.RouteParentStatus{ours, theirs}
	udp.Status.Parents = []gatewayv1.RouteParentStatus{ours, theirs}
	c := newCluster(t, tcp, udp)
	w := c.writer(nil)
	parents := func() (all [][]string) {
		var tcp gatewayv1.TCPRoute
		var udp gatewayv1.UDPRoute
		if err := errors.Join(c.Get(t.Context(), web, &tcp), c.Get(t.Context(), web, &udp)); err != nil {
			t.Fatal(err)
		}
		for _, list := range [][]gatewayv1.RouteParentStatus{tcp.Status.Parents, udp.Status.Parents} {
			var names []string
			for _, p := range list {
				names = append(names, string(p.ParentRef.Name))
			}
			all = append(all, names)
		}
		return all
	}
	are := func(tcp, udp string) func() bool {
		return func() bool { return fmt.Sprint(parents()) == fmt.Sprintf("[[%s] [%s]]", tcp, udp) }
	}
	r := status.New()
	r.TCPRoutes[web] = &status.Route{Kind: status.TCPRoute, UID: "uid", Generation: 3, Parents: []gatewayv1.RouteParentStatus{parent("a", controller)}}
	lead(w, func() {
		w.Report(status.New())
		eventually(t, are("theirs", "theirs"))
		w.Report(r)
		eventually(t, are("theirs a", "theirs"))
		w.Report(status.New())
		eventually(t, are("theirs", "theirs"))
	})
}

func TestAnEventAboutAServiceIsEmittedOnce(t *testing.T) {
	c := newCluster(t, &corev1.Service{ObjectMeta: objectMeta()})
	w := c.writer(nil)
	r := status.New()
	r.Services[web] = &status.Service{UID: "uid", Events: []status.Event{status.Warning(status.ReasonInvalidAnnotation, "bad")}}
	lead(w, func() {
		w.Report(r)
		eventually(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.events) == 1 })
		w.Check(status.Key{Kind: "Service", NamespacedName: web})
		eventually(t, func() bool { return c.read() >= 2 })
	})
	if len(c.events) != 1 || c.writes != 0 {
		t.Errorf("events %q, %d writes", c.events, c.writes)
	}
}
