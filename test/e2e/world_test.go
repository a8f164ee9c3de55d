package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// patience is how long a test waits for anything; it is never what a test is about.
const patience = time.Minute

// eventually waits until f returns nil.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: still not so after %s: %v", what, patience, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// world is a namespace with what a test puts into it.
type world struct {
	t  *testing.T
	ns string
}

// worlds are how many there have been by each name. What a test leaves in a namespace stays, as nobody collects garbage here, so that a
// second run (-count) has one of its own.
var worlds = map[string]int{}

// newWorld makes a namespace that is called like the test, and the IngressClass if there is none.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := emptyWorld(t, strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-")))
	ingressClass := &networkingv1.IngressClass{Spec: networkingv1.IngressClassSpec{Controller: controller}}
	ingressClass.Name = class
	if err := api.Create(t.Context(), ingressClass); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	return w
}

// emptyWorld makes a namespace.
func emptyWorld(t *testing.T, name string) *world {
	t.Helper()
	w := &world{t: t, ns: name[:min(len(name), 60)]}
	if worlds[w.ns]++; worlds[w.ns] > 1 {
		w.ns += fmt.Sprint("-", worlds[w.ns])
	}
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.ns}})
	return w
}

// create creates an object, and removes it when the test ends.
func (w *world) create(o client.Object) {
	w.t.Helper()
	if err := api.Create(w.t.Context(), o); err != nil {
		w.t.Fatalf("create %T %s: %v", o, o.GetName(), err)
	}
	w.t.Cleanup(func() {
		if err := api.Delete(context.Background(), o); client.IgnoreNotFound(err) != nil {
			w.t.Errorf("delete %T %s: %v", o, o.GetName(), err)
		}
	})
}

func (w *world) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: w.ns, Name: name}
}

// get reads an object of this name.
func (w *world) get(name string, o client.Object) {
	w.t.Helper()
	if err := api.Get(w.t.Context(), client.ObjectKey{Namespace: w.ns, Name: name}, o); err != nil {
		w.t.Fatalf("get %T %s: %v", o, name, err)
	}
}

// update changes an object, again if someone else changes it meanwhile.
func update[O client.Object](w *world, o O, change func(O)) {
	w.t.Helper()
	eventually(w.t, "update "+o.GetName(), func() error {
		if err := api.Get(w.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		change(o)
		return api.Update(w.t.Context(), o)
	})
}

// backend is an HTTP server at an address of this machine that answers with its name.
type backend struct {
	name string
	port int32
	hits atomic.Int64
}

func (w *world) backend(name string) *backend {
	w.t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(hostAddress(w.t), "0"))
	if err != nil {
		w.t.Fatal(err)
	}
	b := &backend{name: name, port: int32(l.Addr().(*net.TCPAddr).Port)}
	s := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		b.hits.Add(1)
		fmt.Fprint(rw, b.name)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	w.t.Cleanup(func() { _ = s.Close(); <-done })
	return b
}

// service makes a Service with port 80, called "http", and one EndpointSlice for each backend, called like it.
func (w *world) service(name string, backends ...*backend) {
	w.t.Helper()
	w.create(&corev1.Service{ObjectMeta: w.meta(name), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}})
	for _, b := range backends {
		w.create(w.slice(name, b))
	}
}

func (w *world) slice(service string, b *backend) *discoveryv1.EndpointSlice {
	portName, tcp, ready := "http", corev1.ProtocolTCP, true
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  w.meta(b.name),
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{hostAddress(w.t)}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		Ports:       []discoveryv1.EndpointPort{{Name: &portName, Protocol: &tcp, Port: &b.port}},
	}
	s.Labels = map[string]string{discoveryv1.LabelServiceName: service}
	return s
}

// ingress returns an Ingress of our class that sends a host to a Service.
func (w *world) ingress(name, host, service string) *networkingv1.Ingress {
	className, prefix := class, networkingv1.PathTypePrefix
	return &networkingv1.Ingress{ObjectMeta: w.meta(name), Spec: networkingv1.IngressSpec{
		IngressClassName: &className,
		Rules: []networkingv1.IngressRule{{Host: host, IngressRuleValue: networkingv1.IngressRuleValue{
			HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{
				Path: "/", PathType: &prefix,
				Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
					Name: service, Port: networkingv1.ServiceBackendPort{Number: 80},
				}},
			}}},
		}}},
	}}
}

// gatewayClass makes our GatewayClass unless it is there.
func (w *world) gatewayClass() {
	w.t.Helper()
	c := &gatewayv1.GatewayClass{Spec: gatewayv1.GatewayClassSpec{ControllerName: controller}}
	c.Name = class
	if err := api.Create(w.t.Context(), c); err != nil && !apierrors.IsAlreadyExists(err) {
		w.t.Fatal(err)
	}
}

// gateway returns a Gateway of our class with one HTTP listener at port 80.
func (w *world) gateway(name string) *gatewayv1.Gateway {
	return &gatewayv1.Gateway{ObjectMeta: w.meta(name), Spec: gatewayv1.GatewaySpec{
		GatewayClassName: class,
		Listeners:        []gatewayv1.Listener{{Name: "http", Port: 80, Protocol: gatewayv1.HTTPProtocolType}},
	}}
}

// route returns an HTTPRoute that sends everything that comes to a Gateway to a Service.
func (w *world) route(name, gateway, service string) *gatewayv1.HTTPRoute {
	port := gatewayv1.PortNumber(80)
	return &gatewayv1.HTTPRoute{ObjectMeta: w.meta(name), Spec: gatewayv1.HTTPRouteSpec{
		CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{{Name: gatewayv1.ObjectName(gateway)}}},
		Rules: []gatewayv1.HTTPRouteRule{{BackendRefs: []gatewayv1.HTTPBackendRef{{BackendRef: gatewayv1.BackendRef{
			BackendObjectReference: gatewayv1.BackendObjectReference{Name: gatewayv1.ObjectName(service), Port: &port},
		}}}}},
	}}
}

// reply is a response; the body only if the status is 200, because what else it says is not what these tests are about.
type reply struct {
	status int
	body   string
}

func (r reply) String() string { return fmt.Sprintf("%d %q", r.status, r.body) }

// ask sends one GET to a port of a replica.
func (b *breakwater) ask(port uint16, host string) (reply, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	c := http.Client{Transport: transport, Timeout: 10 * time.Second}
	req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://%s/", net.JoinHostPort(b.address, fmt.Sprint(port))), nil)
	if err != nil {
		return reply{}, err
	}
	req.Host = host
	res, err := c.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		body = nil
	}
	return reply{res.StatusCode, string(body)}, err
}

// expect waits until the reply is as wanted.
func (b *breakwater) expect(t *testing.T, port uint16, host string, want reply) {
	t.Helper()
	eventually(t, host+" answers", func() error {
		got, err := b.ask(port, host)
		if err == nil && got != want {
			err = fmt.Errorf("got %v, want %v", got, want)
		}
		return err
	})
}

// must asks once and fails unless the reply is as wanted.
func (b *breakwater) must(t *testing.T, port uint16, host string, want reply) {
	t.Helper()
	got, err := b.ask(port, host)
	if err != nil || got != want {
		t.Fatalf("%s: got %v, %v, want %v", host, got, err, want)
	}
}
