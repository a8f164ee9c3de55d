package controllers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/infrastructure"
	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/view"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// target records what is applied.
type target struct {
	mu        sync.Mutex
	snapshots []*proxy.Snapshot // guarded by mu
	applied   []Applied         // guarded by mu
	fail      func() error      // what Apply does instead of returning nil; guarded by mu
}

func (p *target) Apply(s *proxy.Snapshot) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.snapshots = append(p.snapshots, s)
	if p.fail != nil {
		return p.fail()
	}
	return nil
}

func (p *target) note(a Applied) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.applied = append(p.applied, a)
}

func (p *target) failing(f func() error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = f
}

func (p *target) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.snapshots)
}

func (p *target) last() *proxy.Snapshot { return p.snapshots[len(p.snapshots)-1] }

// hosts returns how many hosts the latest Snapshot has.
func (p *target) hosts() (n int) {
	for _, l := range p.last().Listeners {
		n += len(l.Hosts)
	}
	return n
}

// bench runs a loop in a synctest bubble.
type bench struct {
	*target
	t      *testing.T
	loop   *loop
	events chan event
}

func withLoop(t *testing.T, f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p, events := &target{}, make(chan event, 16)
		b := &bench{target: p, t: t, events: events, loop: &loop{
			events:  events,
			options: options(),
			ports:   infrastructure.Range{First: 20000, Last: 20099},
			builder: builder{dataPlane: p, applied: p.note, log: slog.New(slog.DiscardHandler)},
			outbox:  newOutbox(),
			synced:  make(chan struct{}),
			log:     slog.New(slog.DiscardHandler),
			view:    view.New(),
		}}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { b.loop.run(ctx) })
		f(b)
		cancel()
		wg.Wait()
	})
}

func options() translate.Options {
	return translate.Options{Controller: "breakwater-gateway.io/controller", Class: "breakwater", ImplicitClasses: true, IngressPort: 8080}
}

func (b *bench) set(objects ...view.Object) {
	for _, o := range objects {
		b.events <- event{object: o, at: time.Now()}
	}
	synctest.Wait()
}

// listed ends the initial list and lets the rest after the first build pass.
func (b *bench) listed() {
	b.events <- event{at: time.Now()}
	b.rest()
}

// rest lets any rest pass and what follows happen.
func (b *bench) rest() {
	synctest.Wait()
	time.Sleep(maxRest)
	synctest.Wait()
}

func named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name), Generation: 1}
}

func anIngress(name string) *networkingv1.Ingress {
	prefix := networkingv1.PathTypePrefix
	return &networkingv1.Ingress{ObjectMeta: named(name), Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{
		Host: name + ".test",
		IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{
			Path: "/", PathType: &prefix,
			Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "web", Port: networkingv1.ServiceBackendPort{Number: 80}}},
		}}}},
	}}}}
}

func aService() *corev1.Service {
	return &corev1.Service{ObjectMeta: named("web"), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP}}}}
}

func aSlice(name, service, address string) *discoveryv1.EndpointSlice {
	port, tcp, portName := int32(8080), corev1.ProtocolTCP, ""
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: named(name), AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{address}}},
		Ports:     []discoveryv1.EndpointPort{{Name: &portName, Port: &port, Protocol: &tcp}},
	}
	s.Labels = map[string]string{discoveryv1.LabelServiceName: service}
	return s
}

func (b *bench) addresses() string {
	var list []string
	for _, backend := range b.last().Backends {
		for _, e := range backend.Endpoints {
			list = append(list, e.Address.Addr().String())
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func TestNothingIsAppliedBeforeEverythingIsListed(t *testing.T) {
	withLoop(t, func(b *bench) {
		for i := range 100 {
			b.set(anIngress(fmt.Sprint("i", i)))
			time.Sleep(time.Second)
		}
		if n := b.count(); n != 0 {
			t.Fatalf("%d snapshots from a partial list", n)
		}
		b.listed()
		if b.count() != 1 || b.hosts() != 100 {
			t.Errorf("%d snapshots, the last with %d hosts; want one with all", b.count(), b.hosts())
		}
		select {
		case <-b.loop.synced:
		default:
			t.Error("not synced")
		}
	})
}

func TestAChangeInIdleTimesIsAppliedAtOnce(t *testing.T) {
	withLoop(t, func(b *bench) {
		b.listed()
		for i := range 10 {
			b.set(anIngress(fmt.Sprint("i", i)))
			if b.count() != 2+i {
				t.Fatalf("change %d is not applied at once", i)
			}
			b.rest()
		}
		for _, a := range b.applied {
			if a.Total != 0 {
				t.Errorf("a change waited %s", a.Total)
			}
		}
	})
}

func TestABurstIsBuiltInBatchesAndNoChangeWaitsLong(t *testing.T) {
	withLoop(t, func(b *bench) {
		b.listed()
		before := b.count()
		const changes = 1000
		for i := range changes {
			b.set(anIngress(fmt.Sprint("i", i)))
			time.Sleep(100 * time.Microsecond)
		}
		b.rest()
		if b.hosts() != changes {
			t.Errorf("%d hosts, want %d", b.hosts(), changes)
		}
		if n := b.count() - before; n > changes/20 {
			t.Errorf("%d builds for %d changes in 100 ms", n, changes)
		}
		for _, a := range b.applied {
			if a.Total > maxRest {
				t.Errorf("a change waited %s", a.Total)
			}
		}
	})
}

func TestEndpointChangesTakeTheFastLane(t *testing.T) {
	withLoop(t, func(b *bench) {
		b.set(anIngress("i"), aService(), aSlice("s", "web", "192.0.2.1"))
		b.listed()
		listeners := b.last().Listeners
		b.set(aSlice("s", "web", "192.0.2.2"))
		b.rest()
		if got := b.applied[len(b.applied)-1]; got.Lane != LaneEndpoints || b.addresses() != "192.0.2.2" {
			t.Errorf("lane %s, addresses %s", got.Lane, b.addresses())
		}
		if !slices.Equal(listeners, b.last().Listeners) {
			t.Error("the fast lane made new Listeners")
		}
		// A slice that moves to another Service leaves the first one.
		b.set(aSlice("s", "other", "192.0.2.2"))
		b.rest()
		if got := b.applied[len(b.applied)-1]; got.Lane != LaneEndpoints || b.addresses() != "" {
			t.Errorf("after the move: lane %s, addresses %s", got.Lane, b.addresses())
		}
		b.set(aSlice("s", "web", "192.0.2.3"))
		b.rest()
		b.events <- event{object: aSlice("s", "web", "192.0.2.3"), deleted: true, at: time.Now()}
		b.rest()
		if b.addresses() != "" {
			t.Errorf("after the deletion: addresses %s", b.addresses())
		}
	})
}

func TestOurOwnEndpointSlicesAreNoBackends(t *testing.T) {
	withLoop(t, func(b *bench) {
		own := aSlice("s", "web", "192.0.2.1")
		own.Labels[discoveryv1.LabelManagedBy] = infrastructure.SliceManagedBy
		b.set(anIngress("i"), aService(), own)
		b.listed()
		if b.addresses() != "" {
			t.Errorf("a route leads back to ourselves: %s", b.addresses())
		}
	})
}

func TestAChangeWithoutEffectIsNotApplied(t *testing.T) {
	withLoop(t, func(b *bench) {
		b.set(anIngress("i"))
		b.listed()
		n := b.count()
		b.set(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "unrelated"}})
		b.rest()
		if b.count() != n {
			t.Error("an equal snapshot was applied again")
		}
	})
}

func TestWhatCannotBeBoundIsTriedAgainAndDelaysReadiness(t *testing.T) {
	withLoop(t, func(b *bench) {
		var attempts atomic.Int64
		b.failing(func() error {
			if attempts.Add(1) < 4 {
				return errors.New("bind port 8080: in use")
			}
			return nil
		})
		b.set(anIngress("i"))
		b.listed()
		time.Sleep(6900 * time.Millisecond) // attempts at 0, 1, 3 and 7 s
		synctest.Wait()
		if attempts.Load() != 3 {
			t.Errorf("%d attempts within 7 s, want 3", attempts.Load())
		}
		select {
		case <-b.loop.synced:
			t.Error("synced while a port is not bound")
		default:
		}
		time.Sleep(time.Second)
		synctest.Wait()
		select {
		case <-b.loop.synced:
		default:
			t.Error("not synced though everything is bound")
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if attempts.Load() != 4 {
			t.Errorf("%d attempts, want no more after success", attempts.Load())
		}
	})
}

func TestAChangeWithoutEffectDoesNotHideWhatIsNotBound(t *testing.T) {
	withLoop(t, func(b *bench) {
		b.failing(func() error { return errors.New("bind port 8080: in use") })
		b.set(anIngress("i"))
		b.listed()
		b.set(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "unrelated"}})
		b.rest()
		select {
		case <-b.loop.synced:
			t.Error("synced while a port is not bound")
		default:
		}
	})
}

func TestAPanicOfTheDataPlaneDoesNotEndTheLoop(t *testing.T) {
	withLoop(t, func(b *bench) {
		b.listed()
		b.failing(func() error { panic("a bug") })
		b.set(anIngress("one"))
		b.failing(nil)
		b.set(anIngress("two"))
		b.rest()
		if b.hosts() != 2 {
			t.Errorf("%d hosts after the panic, want 2", b.hosts())
		}
	})
}

// broken is a Placement that panics, as a bug in a translation would.
type broken struct{ infrastructure.Placement }

func (broken) Port(types.NamespacedName, int32, corev1.Protocol) (uint16, bool) { panic("a bug") }

func TestAPanicOfATranslationKeepsWhatIsServed(t *testing.T) {
	p := &target{}
	b := builder{dataPlane: p, log: slog.New(slog.DiscardHandler)}
	v := view.New()
	v.Set(anIngress("good"))
	full := batch{full: true}
	if !b.build(v, options(), full) {
		t.Fatal("the first build failed")
	}
	served := b.last

	v.Set(aGateway())
	bad := options()
	bad.Placement = broken{}
	if b.build(v, bad, full) || b.last != served || p.count() != 1 {
		t.Errorf("the failed build changed what is served")
	}
	v.Set(anIngress("later"))
	good := options()
	good.Placement = infrastructure.Placement{}
	// Even a batch of endpoints is built in full, for the last good result is not what the View says.
	if !b.build(v, good, batch{services: map[types.NamespacedName]struct{}{{Namespace: "ns", Name: "web"}: {}}}) || p.hosts() != 2 {
		t.Errorf("the build after the bug serves %d hosts, want 2", p.hosts())
	}
}

// TestGivenAddressesGoBeforeTheService: who gives them knows better than a Service's cluster-internal address.
func TestGivenAddressesGoBeforeTheService(t *testing.T) {
	for _, given := range []string{"", "203.0.113.7"} {
		withLoop(t, func(b *bench) {
			want := "10.96.0.1"
			if given != "" {
				b.loop.options.Addresses, want = []string{given}, given
			}
			service := aService()
			service.Spec.ClusterIPs = []string{"10.96.0.1"}
			b.loop.pods.Service = types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
			b.set(anIngress("one"), service)
			b.listed()
			entry := b.loop.builder.report().Ingresses[types.NamespacedName{Namespace: "ns", Name: "one"}]
			if len(entry.LoadBalancer) != 1 || entry.LoadBalancer[0].IP != want {
				t.Errorf("got %v, want %s", entry.LoadBalancer, want)
			}
		})
	}
}

// TestNoPodPortLeftIsACondition: what a Gateway waits for, perhaps for ever, stands where its author looks.
func TestNoPodPortLeftIsACondition(t *testing.T) {
	withLoop(t, func(b *bench) {
		b.loop.ports = infrastructure.Range{First: 20000, Last: 20000}
		first, second := aGateway(), aGateway()
		first.ObjectMeta, second.ObjectMeta = named("first"), named("second")
		class := &gatewayv1.GatewayClass{ObjectMeta: metav1.ObjectMeta{Name: "breakwater"}}
		class.Spec.ControllerName = "breakwater-gateway.io/controller"
		b.set(class, first, second)
		b.listed()
		for name, want := range map[string]string{
			"first":  "no port has been allocated yet",
			"second": "all pod ports from 20000 to 20000 belong to listeners of other Gateways",
		} {
			entry := b.loop.builder.report().Gateways[types.NamespacedName{Namespace: "ns", Name: name}]
			for _, conditions := range [][]metav1.Condition{entry.Conditions, entry.Listeners[0].Conditions} {
				c := meta.FindStatusCondition(conditions, string(gatewayv1.GatewayConditionProgrammed))
				if c == nil || c.Status != metav1.ConditionFalse || c.Message != want {
					t.Errorf("%s: %+v, want the message %q", name, c, want)
				}
			}
		}
	})
}

// unbound is an error of Apply.
type unbound []proxy.ListenerID

func (u unbound) Error() string               { return "bind port 20000: in use" }
func (u unbound) Unbound() []proxy.ListenerID { return u }

// TestAPortThatIsNotBoundIsACondition: a listener that serves nobody must not say that it does; once its port is free it does.
func TestAPortThatIsNotBoundIsACondition(t *testing.T) {
	withLoop(t, func(b *bench) {
		g := aGateway()
		g.Spec.Listeners = append(g.Spec.Listeners, gatewayv1.Listener{Name: "other", Port: 81, Protocol: gatewayv1.HTTPProtocolType})
		object := proxy.ObjectID{Kind: "Gateway", Namespace: "ns", Name: "gw"}
		namesake := proxy.ObjectID{Kind: "IngressClass", Namespace: "ns", Name: "gw"}
		failure := errors.Join(errors.New("something else"), unbound{{Object: namesake, Section: "other"}, {Object: object, Section: "http"}})
		b.failing(func() error { return failure })
		class := &gatewayv1.GatewayClass{ObjectMeta: metav1.ObjectMeta{Name: "breakwater"}}
		class.Spec.ControllerName = "breakwater-gateway.io/controller"
		ports := map[infrastructure.Port]uint16{{Number: 80, Protocol: corev1.ProtocolTCP}: 20000, {Number: 81, Protocol: corev1.ProtocolTCP}: 20001}
		service := infrastructure.Service(g, ports, corev1.ServiceTypeClusterIP)
		service.Spec.ClusterIPs = []string{"10.0.0.9"}
		b.set(class, g, service)
		b.listed()

		check := func(gateway, http, other string) {
			t.Helper()
			b.loop.outbox.mu.Lock()
			defer b.loop.outbox.mu.Unlock()
			entry := b.loop.outbox.report.Gateways[types.NamespacedName{Namespace: "ns", Name: "gw"}]
			for i, conditions := range [][]metav1.Condition{entry.Conditions, entry.Listeners[0].Conditions, entry.Listeners[1].Conditions} {
				c := meta.FindStatusCondition(conditions, string(gatewayv1.GatewayConditionProgrammed))
				if got, want := strings.TrimSpace(c.Reason+" "+c.Message), []string{gateway, http, other}[i]; got != want {
					t.Errorf("%d: %s %q, want %q", i, c.Status, got, want)
				}
			}
		}
		check("NoResources bind port 20000: in use", "PortUnavailable bind port 20000: in use", "Programmed")
		b.failing(nil)
		time.Sleep(lastRetry)
		synctest.Wait()
		check("Programmed", "Programmed", "Programmed")
		b.failing(func() error { return failure }) // a later change finds the port taken
		g = g.DeepCopy()
		g.Generation++
		b.set(g)
		b.rest()
		check("NoResources bind port 20000: in use", "PortUnavailable bind port 20000: in use", "Programmed")
	})
}

func aGateway() *gatewayv1.Gateway {
	return &gatewayv1.Gateway{ObjectMeta: named("gw"), Spec: gatewayv1.GatewaySpec{
		GatewayClassName: "breakwater",
		Listeners:        []gatewayv1.Listener{{Name: "http", Port: 80, Protocol: gatewayv1.HTTPProtocolType}},
	}}
}
