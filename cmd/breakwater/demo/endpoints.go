package demo

import (
	"bytes"
	"fmt"
)

// EndpointsFile is the name of the generated manifest, whose ports are others at each start.
const EndpointsFile = "99-endpoints.yaml"

// endpoints returns one EndpointSlice for each Replica: those of one slice would have to share a port.
func endpoints(replicas []Replica) []byte {
	var b bytes.Buffer
	fmt.Fprint(&b, "# Where the backends of this demo listen; written anew at each start.\n"+
		"# Set ready to false, or remove a slice, and the replica gets no more requests.\n")
	for i, r := range replicas {
		if i > 0 {
			fmt.Fprint(&b, "---\n")
		}
		fmt.Fprintf(&b, `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: %s
  namespace: demo
  labels:
    kubernetes.io/service-name: %s
addressType: IPv4
ports:
  - name: %s
    port: %d
endpoints:
  - addresses: [%q]
    conditions:
      ready: true
`, r.Name, r.Service, r.portName(), r.Address.Port(), r.Address.Addr())
	}
	return b.Bytes()
}

// portName returns the name of the Service's port.
func (r Replica) portName() string {
	if r.Service == database {
		return "tcp"
	}
	return "http"
}
