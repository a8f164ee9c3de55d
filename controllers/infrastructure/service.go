package infrastructure

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

const (
	// LabelGateway names the Gateway that a Service or EndpointSlice belongs to (GEP-1762).
	LabelGateway = gatewayv1.GatewayNameLabelKey
	// LabelManagedBy marks what this controller made; with the value ManagedBy.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	ManagedBy      = "breakwater"
)

const (
	maxLabel    = 63 // longest DNS label (RFC 1123) and label value, in bytes
	hashLength  = 8
	namePrefix  = "breakwater-"
	portsPrefix = "port-"
)

// ServiceName returns the name of a Gateway's Service: a DNS label (RFC 1035), different for each name of a Gateway. Names
// that do not fit are cut and get a hash of the whole.
func ServiceName(gateway string) string {
	name := namePrefix + strings.ReplaceAll(gateway, ".", "-")
	if len(name) <= maxLabel && !strings.Contains(gateway, ".") {
		return name
	}
	return shorten(name, gateway)
}

// shorten cuts name so that it is a label that ends in a hash of whole.
func shorten(name, whole string) string {
	sum := sha256.Sum256([]byte(whole))
	name = name[:min(len(name), maxLabel-hashLength-1)]
	return strings.TrimRight(name, "-.") + "-" + hex.EncodeToString(sum[:])[:hashLength]
}

func serviceKey(gateway *gatewayv1.Gateway) types.NamespacedName {
	return types.NamespacedName{Namespace: gateway.Namespace, Name: ServiceName(gateway.Name)}
}

// labels returns what every object made for the Gateway carries. A name that is no label value is cut in the same way
// as the Service's.
func labels(gateway *gatewayv1.Gateway) map[string]string {
	name := gateway.Name
	if len(name) > maxLabel {
		name = shorten(name, name)
	}
	result := map[string]string{}
	if infra := gateway.Spec.Infrastructure; infra != nil {
		for key, value := range infra.Labels {
			result[string(key)] = string(value)
		}
	}
	result[LabelGateway] = name
	result[LabelManagedBy] = ManagedBy
	return result
}

func annotations(gateway *gatewayv1.Gateway) map[string]string {
	result := map[string]string{}
	if infra := gateway.Spec.Infrastructure; infra != nil {
		for key, value := range infra.Annotations {
			result[string(key)] = string(value)
		}
	}
	return result
}

// owner returns the reference by which the API server's garbage collector removes what belongs to a deleted Gateway.
func owner(gateway *gatewayv1.Gateway) metav1.OwnerReference {
	ref := metav1.NewControllerRef(gateway, schema.GroupVersionKind{
		Group: gatewayv1.GroupName, Version: gatewayv1.GroupVersion.Version, Kind: "Gateway",
	})
	ref.BlockOwnerDeletion = nil // some clusters ask for a right on the Gateway for this, and nothing needs it
	return *ref
}

// Service returns the Service that the Gateway should have. It has no selector: its EndpointSlices are ours to write.
func Service(gateway *gatewayv1.Gateway, ports map[Port]uint16, kind corev1.ServiceType) *corev1.Service {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       gateway.Namespace,
			Name:            ServiceName(gateway.Name),
			Labels:          labels(gateway),
			Annotations:     annotations(gateway),
			OwnerReferences: []metav1.OwnerReference{owner(gateway)},
		},
		Spec: corev1.ServiceSpec{Type: kind},
	}
	for _, port := range slices.SortedFunc(maps.Keys(ports), Port.compare) {
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{
			Name:       portName(port),
			Protocol:   port.Protocol,
			Port:       port.Number,
			TargetPort: intstr.FromInt32(int32(ports[port])),
		})
	}
	return service
}

// portName returns the name of a port of a Service, which no other port of it has.
func portName(port Port) string {
	name := portsPrefix + strconv.Itoa(int(port.Number))
	if port.Protocol == corev1.ProtocolUDP {
		name += "-udp"
	}
	return name
}

// Merge returns what a Service has to be changed to so that it is as desired, and whether that is a change. What others
// added (labels, annotations, node ports, allocated addresses) stays.
func Merge(existing, desired *corev1.Service) (merged *corev1.Service, changed bool) {
	merged = existing.DeepCopy()
	changed = mergeMap(&merged.Labels, desired.Labels)
	changed = mergeMap(&merged.Annotations, desired.Annotations) || changed
	if merged.Spec.Type != desired.Spec.Type || len(merged.Spec.Selector) > 0 || !samePorts(merged.Spec.Ports, desired.Spec.Ports) {
		merged.Spec.Type = desired.Spec.Type
		merged.Spec.Selector = nil
		merged.Spec.Ports = keepNodePorts(merged.Spec.Ports, desired.Spec.Ports)
		changed = true
	}
	return merged, changed
}

func mergeMap(into *map[string]string, from map[string]string) (changed bool) {
	for key, value := range from {
		if old, ok := (*into)[key]; !ok || old != value {
			if *into == nil {
				*into = map[string]string{}
			}
			(*into)[key] = value
			changed = true
		}
	}
	return changed
}

func samePorts(existing, desired []corev1.ServicePort) bool {
	return slices.EqualFunc(existing, desired, func(a, b corev1.ServicePort) bool {
		return a.Name == b.Name && a.Protocol == b.Protocol && a.Port == b.Port && a.TargetPort == b.TargetPort
	})
}

func keepNodePorts(existing, desired []corev1.ServicePort) []corev1.ServicePort {
	ports := slices.Clone(desired)
	for i := range ports {
		at := slices.IndexFunc(existing, func(p corev1.ServicePort) bool { return p.Port == ports[i].Port && p.Protocol == ports[i].Protocol })
		if at >= 0 {
			ports[i].NodePort = existing[at].NodePort
		}
	}
	return ports
}

// Addresses returns what a Service can be reached at, IP addresses or host names: what its load balancer assigned, or else
// its ClusterIPs.
func Addresses(service *corev1.Service) []string {
	var result []string
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		if address := cmp.Or(ingress.IP, ingress.Hostname); address != "" {
			result = append(result, address)
		}
	}
	if len(result) > 0 {
		return result
	}
	for _, ip := range service.Spec.ClusterIPs {
		if ip != "" && ip != corev1.ClusterIPNone {
			result = append(result, ip)
		}
	}
	return result
}
