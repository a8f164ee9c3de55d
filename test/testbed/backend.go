package testbed

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Backend is a running HTTP server that is the only endpoint of the Service of its name, port 80 called "http", in the
// namespace "default".
type Backend struct {
	Name     string
	Requests atomic.Int64 // that have arrived

	bed      *Bed
	service  string
	server   *http.Server
	listener net.Listener
	done     chan struct{}
}

// NameHeader is the response field in which a Backend says its name.
const NameHeader = "X-Backend"

// Backend starts a backend and applies a Service with it as its endpoint. A nil handler answers with the name.
func (b *Bed) Backend(name string, h http.Handler) *Backend {
	b.t.Helper()
	backend := b.start(name, h)
	b.Write("service-"+name+".yaml", backend.manifest(true))
	return backend
}

// Extra starts one more endpoint for a Service that exists.
func (b *Bed) Extra(service, name string, h http.Handler) *Backend {
	b.t.Helper()
	backend := b.start(name, h)
	backend.service = service
	backend.Join()
	return backend
}

// Join makes what Extra has started an endpoint of its Service, again if need be.
func (b *Backend) Join() {
	b.bed.t.Helper()
	b.bed.Write("endpoint-"+b.Name+".yaml", slice(b.Name, b.service, b.port()))
}

// Leave takes what Extra has started out of its Service; the server goes on running.
func (b *Backend) Leave() {
	b.bed.t.Helper()
	b.bed.Delete("endpoint-" + b.Name + ".yaml")
}

func (b *Bed) start(name string, h http.Handler) *Backend {
	b.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatalf("listen for backend %s: %v", name, err)
	}
	if h == nil {
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // what the client does not send is its own affair
			_, _ = io.WriteString(w, name+"\n")
		})
	}
	backend := &Backend{Name: name, bed: b, listener: ln, done: make(chan struct{})}
	backend.server = &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			backend.Requests.Add(1)
			w.Header().Set(NameHeader, name)
			h.ServeHTTP(w, r)
		}),
	}
	go func() {
		defer close(backend.done)
		_ = backend.server.Serve(ln) // ends with Stop
	}()
	b.t.Cleanup(backend.Stop)
	return backend
}

// SetReady adds the backend to the endpoints of its Service, or takes it out.
func (b *Backend) SetReady(ready bool) {
	b.bed.t.Helper()
	b.bed.Write("service-"+b.Name+".yaml", b.manifest(ready))
}

// Stop closes the backend's listener and connections. The Service still names it.
func (b *Backend) Stop() {
	_ = b.server.Close() // a second time does no harm
	<-b.done
}

func (b *Backend) port() int { return b.listener.Addr().(*net.TCPAddr).Port }

func (b *Backend) manifest(ready bool) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Service
metadata: {name: %s, namespace: default}
spec:
  ports: [{name: http, port: 80}]
---
`, b.Name) + strings.Replace(slice(b.Name, b.Name, b.port()), "ready: true", fmt.Sprintf("ready: %t", ready), 1)
}

func slice(name, service string, port int) string {
	return fmt.Sprintf(`apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %s, namespace: default, labels: {kubernetes.io/service-name: %s}}
addressType: IPv4
ports: [{name: http, port: %d}]
endpoints: [{addresses: [127.0.0.1], conditions: {ready: true}}]
`, name, service, port)
}

// Place makes what Extra has started an endpoint in a zone, of a pod in the namespace "default".
func (b *Backend) Place(zone, pod string) {
	b.bed.t.Helper()
	b.bed.Write("endpoint-"+b.Name+".yaml", strings.Replace(slice(b.Name, b.service, b.port()), "conditions:",
		fmt.Sprintf("zone: %s, targetRef: {kind: Pod, name: %s, namespace: default}, conditions:", zone, pod), 1))
}
