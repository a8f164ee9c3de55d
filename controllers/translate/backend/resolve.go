// Package backend turns Services and their EndpointSlices into Backends.
//
// It is pure, like everything under translate: it reads the View and returns values. Resolve answers what a reference to
// a Service means; Table keeps the Backends that are referenced and what each was made from.
package backend

import (
	"cmp"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Kind is ObjectID.Kind and BackendID.Kind of a Service.
const Kind = "Service"

// Ref is a reference to a port of a Service: by PortName if that is not empty, otherwise by Port.
type Ref struct {
	Service  types.NamespacedName
	Port     int32
	PortName string
	Stream   proxy.Protocol // TCP, UDP, or "" for requests
}

// Failure says why a reference cannot be used.
type Failure uint8

const (
	// None: the reference can be used.
	None Failure = iota
	// NotFound: there is no such Service.
	NotFound
	// PortNotFound: the Service has no such TCP port, or UDP port.
	PortNotFound
	// ExternalNameRefused: the Service is of type ExternalName, and those are not allowed or the name is not valid.
	ExternalNameRefused
	// UnsupportedProtocol: the appProtocol of the port is one that the proxy does not speak.
	UnsupportedProtocol
)

// Resolved is what a Ref means.
type Resolved struct {
	// ID is the Backend's identity, also when there is a Failure. Its Port is 0 if a named port was not found.
	ID      proxy.BackendID
	Failure Failure
	Message string // says what is wrong when there is a Failure
}

// Resolve finds the Backend that ref means. service is the Service it names, nil if there is none.
func Resolve(service *corev1.Service, ref Ref, allowExternalName bool) Resolved {
	r := Resolved{ID: proxy.BackendID{
		Kind: Kind, Namespace: ref.Service.Namespace, Name: ref.Service.Name, Port: ref.Port, Stream: ref.Stream,
	}}
	if ref.PortName != "" {
		r.ID.Port = 0
	}
	if service == nil {
		return r.fail(NotFound, fmt.Sprintf("Service %s not found", ref.Service))
	}
	external := service.Spec.Type == corev1.ServiceTypeExternalName
	if external {
		if problem := externalProblem(service, allowExternalName); problem != "" {
			return r.fail(ExternalNameRefused, fmt.Sprintf("Service %s: %s", ref.Service, problem))
		}
	}
	port := findPort(service, ref)
	switch {
	case port != nil:
		r.ID.Port = port.Port
	case external && ref.PortName == "" && len(service.Spec.Ports) == 0 && validPort(ref.Port):
		return r // such a Service need not list its ports
	case ref.PortName != "":
		return r.fail(PortNotFound, fmt.Sprintf("Service %s has no %s port named %q", ref.Service, transport(ref.Stream), ref.PortName))
	default:
		return r.fail(PortNotFound, fmt.Sprintf("Service %s has no %s port %d", ref.Service, transport(ref.Stream), ref.Port))
	}
	// To a stream it does not matter what is spoken in it.
	if name := protocolName(port); ref.Stream == "" && !supported(name) {
		return r.fail(UnsupportedProtocol,
			fmt.Sprintf("Service %s port %d: appProtocol %q is not supported", ref.Service, port.Port, name))
	}
	return r
}

func (r Resolved) fail(f Failure, message string) Resolved {
	r.Failure, r.Message = f, message
	return r
}

func externalProblem(service *corev1.Service, allowed bool) string {
	name := service.Spec.ExternalName
	if !allowed {
		return "type ExternalName is not allowed"
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return ""
	}
	if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
		return fmt.Sprintf("spec.externalName %q is not a host name", name)
	}
	return ""
}

func findPort(service *corev1.Service, ref Ref) *corev1.ServicePort {
	for i := range service.Spec.Ports {
		p := &service.Spec.Ports[i]
		if cmp.Or(p.Protocol, corev1.ProtocolTCP) != transport(ref.Stream) {
			continue
		}
		if ref.PortName != "" && p.Name == ref.PortName || ref.PortName == "" && p.Port == ref.Port {
			return p
		}
	}
	return nil
}

// transport returns the protocol of the ports that streams, or requests, go to.
func transport(stream proxy.Protocol) corev1.Protocol {
	if stream == proxy.UDP {
		return corev1.ProtocolUDP
	}
	return corev1.ProtocolTCP
}

func protocolName(port *corev1.ServicePort) string {
	if port.AppProtocol == nil {
		return ""
	}
	return *port.AppProtocol
}

// supported reports whether a port with this appProtocol can be served over HTTP/1.1. The names are those of KEP-3726,
// IANA's and the well-known ones; any other name is implementation-defined for somebody else and does not change what
// is spoken.
func supported(appProtocol string) bool {
	switch appProtocol {
	case "kubernetes.io/h2c", "kubernetes.io/wss", "https", "wss", "grpc", "grpcs", "http2", "h2", "h2c", "tls":
		return false
	}
	return true
}

// targetPort returns the numeric target of a port where no EndpointSlice tells.
func targetPort(port *corev1.ServicePort) int32 {
	if port.TargetPort.Type == intstr.Int && validPort(port.TargetPort.IntVal) {
		return port.TargetPort.IntVal
	}
	return port.Port
}

func validPort(port int32) bool { return port > 0 && port <= 65535 }
