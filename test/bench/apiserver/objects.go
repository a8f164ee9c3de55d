package apiserver

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"

	"github.com/breakwater-gateway/breakwater/test/bench/scale"
)

// parallel is the number of objects that are created at the same time.
const parallel = 16

// Kind is the resource that an object is of, as paths of the API name it.
type Kind string

// The kinds that the bench needs.
const (
	Namespace     Kind = "/api/v1/namespaces"
	Class         Kind = "/apis/networking.k8s.io/v1/ingressclasses"
	Service       Kind = "/api/v1/namespaces/default/services"
	EndpointSlice Kind = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
	Ingress       Kind = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
)

// Object is one object of the API.
type Object struct {
	Kind    Kind
	Name    string
	Content map[string]any
}

func (o Object) collection() string { return string(o.Kind) }

// fields is an object of JSON.
type fields = map[string]any

// Set is the objects of the bench: one Ingress per host, and Services that some hosts share, with one EndpointSlice each.
type Set struct {
	PerService int // hosts that share one Service
	// Endpoints are the addresses (host:port) that an EndpointSlice can hold, the first one at the beginning.
	Endpoints [2]string

	hosts   int
	swapped map[int]bool // which Services are on the second endpoint
	edits   int          // how many paths have been added
}

// Hosts is the number of hosts that are there.
func (s *Set) Hosts() int { return s.hosts }

// Services is the number of Services that are there.
func (s *Set) Services() int { return (s.hosts + s.PerService - 1) / s.PerService }

// Grow creates what is missing for a number of hosts, many objects at the same time.
func (s *Set) Grow(ctx context.Context, c *Client, hosts int) error {
	if s.hosts == 0 {
		for _, o := range s.shared() {
			if err := c.Create(ctx, o); err != nil {
				return err
			}
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	missing, failed := make(chan Object), make(chan error, parallel)
	var group sync.WaitGroup
	for range parallel {
		group.Go(func() {
			for o := range missing {
				if err := c.Create(ctx, o); err != nil {
					failed <- err
					cancel()
					return
				}
			}
		})
	}
	for host := s.hosts; host < hosts && ctx.Err() == nil; host++ {
		for _, o := range s.objects(host) {
			select {
			case missing <- o:
			case <-ctx.Done():
			}
		}
	}
	close(missing)
	group.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	s.hosts = max(s.hosts, hosts)
	return ctx.Err()
}

// shared are the objects that are there once.
func (s *Set) shared() []Object {
	system := "breakwater-system" // where breakwater elects the replica that writes statuses
	return []Object{
		{Namespace, system, fields{"metadata": fields{"name": system}}},
		{Class, "breakwater", fields{
			"metadata": fields{"name": "breakwater"},
			"spec":     fields{"controller": "breakwater-gateway.io/controller"},
		}},
	}
}

// objects are those that a host adds: its Ingress and, for the first host of a Service, the Service.
func (s *Set) objects(host int) []Object {
	var all []Object
	if host%s.PerService == 0 {
		all = append(all, s.service(host/s.PerService), s.slice(host/s.PerService))
	}
	o := s.ingress(host)
	o.Content["spec"] = s.spec(host, "")
	return append(all, o)
}

func (s *Set) service(i int) Object {
	name := "s" + strconv.Itoa(i)
	return Object{Service, name, fields{
		"metadata": fields{"name": name},
		"spec":     fields{"ports": []any{fields{"name": "http", "port": 80}}},
	}}
}

func (s *Set) slice(i int) Object {
	service := "s" + strconv.Itoa(i)
	content := s.endpoint(i)
	content["addressType"] = "IPv4"
	content["metadata"] = fields{"name": service + "-1", "labels": fields{"kubernetes.io/service-name": service}}
	return Object{EndpointSlice, service + "-1", content}
}

// endpoint is what an EndpointSlice says about the endpoint of a Service.
func (s *Set) endpoint(i int) fields {
	address, text, _ := net.SplitHostPort(s.Endpoints[s.which(i)])
	port, _ := strconv.Atoi(text) // an address that is wrong is refused by the API server
	return fields{
		"ports":     []any{fields{"name": "http", "port": port, "protocol": "TCP"}},
		"endpoints": []any{fields{"addresses": []string{address}, "conditions": fields{"ready": true}}},
	}
}

func (s *Set) which(i int) int {
	if s.swapped[i] {
		return 1
	}
	return 0
}

func (s *Set) ingress(host int) Object {
	name := "h" + strconv.Itoa(host)
	return Object{Ingress, name, fields{"metadata": fields{"name": name}}}
}

// spec is that of a host's Ingress; path is one more exact path unless it is empty.
func (s *Set) spec(host int, path string) fields {
	backend := fields{"service": fields{"name": "s" + strconv.Itoa(host/s.PerService), "port": fields{"number": 80}}}
	paths := []any{fields{"path": scale.Path, "pathType": "Prefix", "backend": backend}}
	if path != "" {
		paths = append(paths, fields{"path": path, "pathType": "Exact", "backend": backend})
	}
	return fields{
		"ingressClassName": "breakwater",
		"rules":            []any{fields{"host": scale.Host(host), "http": fields{"paths": paths}}},
	}
}

// AddPath gives a host's Ingress one more path, which no earlier call gave to any, in the place of that of an earlier call.
func (s *Set) AddPath(host int) (path string, o Object, change map[string]any) {
	s.edits++
	path = fmt.Sprintf("/edit-%d", s.edits)
	return path, s.ingress(host), fields{"spec": s.spec(host, path)}
}

// Swap puts the other endpoint into a Service's EndpointSlice and tells which of the two it is then.
func (s *Set) Swap(i int) (now int, o Object, change map[string]any) {
	if s.swapped == nil {
		s.swapped = map[int]bool{}
	}
	s.swapped[i] = !s.swapped[i]
	return s.which(i), s.slice(i), s.endpoint(i)
}

// HostAddress returns an IPv4 address of this machine that an EndpointSlice may hold: not of loopback. Traffic to it does
// not leave the machine.
func HostAddress() (string, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(addresses, func(a net.Addr) bool {
		ip, ok := a.(*net.IPNet)
		return ok && ip.IP.To4() != nil && ip.IP.IsGlobalUnicast()
	})
	if i < 0 {
		return "", fmt.Errorf("this machine has no IPv4 address but loopback, which the API does not accept as an endpoint")
	}
	return addresses[i].(*net.IPNet).IP.String(), nil
}
