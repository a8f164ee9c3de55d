// Package scale writes manifests with many hosts and routes, edits them, waits until an edit is live, and reads the
// durations that a process exports about its own work. A Set is for one goroutine at a time.
package scale

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// Layout says how many objects there are and how they are spread over files.
type Layout struct {
	Hosts      int // each with an Ingress of its own: one host, one route
	PerService int // hosts that share one Service and its EndpointSlice
	PerFile    int // objects in one file
	// Endpoints are the addresses (host:port) that an EndpointSlice can hold: the first at the beginning, the second
	// after a swap.
	Endpoints [2]string
}

// Services is the number of Services.
func (l Layout) Services() int { return (l.Hosts + l.PerService - 1) / l.PerService }

// Files is the number of files.
func (l Layout) Files() int { return (1 + l.Hosts + 2*l.Services() + l.PerFile - 1) / l.PerFile }

// HostPattern is the name of host %d.
const HostPattern = "h%d.bench.example.com"

// Host is the name of host i.
func Host(i int) string { return fmt.Sprintf(HostPattern, i) }

// Path is the path that every host has a route for; paths below it belong to the route too.
const Path = "/small"

type kind int

const (
	class kind = iota
	service
	endpoints
	ingress
)

// object names one object by its kind and number.
type object struct {
	kind kind
	i    int
}

// Set is the manifests in a folder.
type Set struct {
	Layout
	dir     string // the manifests
	scratch string // beside it, for files about to be moved in
	objects []object
	place   map[object]int
	paths   map[int]string // an additional exact path, by host
	swapped map[int]bool   // which services are on the second endpoint
}

// Write makes the folder dir with all files in it.
func Write(l Layout, dir string) (*Set, error) {
	s := &Set{Layout: l, dir: dir, scratch: dir + ".new", place: map[object]int{}, paths: map[int]string{}, swapped: map[int]bool{}}
	s.add(object{class, 0})
	for i := range l.Services() {
		s.add(object{service, i})
		s.add(object{endpoints, i})
		for host := i * l.PerService; host < min((i+1)*l.PerService, l.Hosts); host++ {
			s.add(object{ingress, host})
		}
	}
	for _, folder := range []string{s.dir, s.scratch} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, err
		}
	}
	for file := range l.Files() {
		if err := os.WriteFile(filepath.Join(s.dir, fileName(file)), s.render(file), 0o644); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Dir is the folder of the manifests.
func (s *Set) Dir() string { return s.dir }

// AddPath gives a host's Ingress one more path, exact, in the place of the one that an earlier call gave it.
func (s *Set) AddPath(host int, path string) (replace func() error, err error) {
	s.paths[host] = path
	return s.prepare(object{ingress, host})
}

// Swap puts the other endpoint into a Service's EndpointSlice and tells which of the two it is now.
func (s *Set) Swap(i int) (now int, replace func() error, err error) {
	s.swapped[i] = !s.swapped[i]
	replace, err = s.prepare(object{endpoints, i})
	return s.endpoint(i), replace, err
}

// prepare writes the new text of the file that holds an object beside the manifests; replace moves it into place, which
// is the moment of the edit.
func (s *Set) prepare(o object) (replace func() error, err error) {
	file := s.place[o]
	from := filepath.Join(s.scratch, fileName(file))
	if err := os.WriteFile(from, s.render(file), 0o644); err != nil {
		return nil, err
	}
	return func() error { return os.Rename(from, filepath.Join(s.dir, fileName(file))) }, nil
}

func fileName(file int) string { return fmt.Sprintf("objects-%05d.yaml", file) }

func (s *Set) add(o object) {
	s.place[o] = len(s.objects) / s.PerFile
	s.objects = append(s.objects, o)
}

func (s *Set) endpoint(service int) int {
	if s.swapped[service] {
		return 1
	}
	return 0
}

// render is the text of one file.
func (s *Set) render(file int) []byte {
	var b strings.Builder
	for _, o := range s.objects[file*s.PerFile : min((file+1)*s.PerFile, len(s.objects))] {
		b.WriteString("---\n")
		switch o.kind {
		case class:
			b.WriteString(classText)
		case service:
			fmt.Fprintf(&b, serviceText, o.i)
		case endpoints:
			address, port, _ := net.SplitHostPort(s.Endpoints[s.endpoint(o.i)])
			fmt.Fprintf(&b, endpointsText, o.i, port, address)
		case ingress:
			fmt.Fprintf(&b, ingressText, o.i, Host(o.i))
			fmt.Fprintf(&b, pathText, Path, "Prefix", o.i/s.PerService)
			if path := s.paths[o.i]; path != "" {
				fmt.Fprintf(&b, pathText, path, "Exact", o.i/s.PerService)
			}
		}
	}
	return []byte(b.String())
}

const (
	classText = `apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: breakwater
spec:
  controller: breakwater-gateway.io/controller
`
	serviceText = `apiVersion: v1
kind: Service
metadata:
  name: s%d
  namespace: default
spec:
  type: ClusterIP
  ports:
  - name: http
    port: 80
    targetPort: http
`
	endpointsText = `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: s%[1]d-1
  namespace: default
  labels:
    kubernetes.io/service-name: s%[1]d
addressType: IPv4
ports:
- name: http
  port: %[2]s
  protocol: TCP
endpoints:
- addresses: ["%[3]s"]
  conditions:
    ready: true
    serving: true
    terminating: false
`
	ingressText = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: h%d
  namespace: default
spec:
  ingressClassName: breakwater
  rules:
  - host: %s
    http:
      paths:
`
	pathText = `      - path: %s
        pathType: %s
        backend:
          service:
            name: s%d
            port:
              number: 80
`
)
