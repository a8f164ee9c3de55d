package backend

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// proxyProtocol returns the version of the PROXY protocol that the endpoints of a Service want to be spoken to with, 0
// for none, and what is wrong with the annotation that says so. service may be nil.
func proxyProtocol(service *corev1.Service) (version uint8, problem string) {
	if service == nil {
		return 0, ""
	}
	switch value := service.Annotations[v1alpha1.AnnotationProxyProtocol]; value {
	case "":
		return 0, ""
	case "v1":
		return 1, ""
	case "v2":
		return 2, ""
	default:
		return 0, fmt.Sprintf("metadata.annotations[%s]: %q is neither v1 nor v2", v1alpha1.AnnotationProxyProtocol, cut(value))
	}
}

// problem is what is wrong with a Service as far as one Backend is concerned. It is comparable.
type problem struct {
	uid   types.UID
	event status.Event
}

// problemOf returns what is wrong with a Service's annotations; the zero problem is nothing.
func problemOf(service *corev1.Service, id proxy.BackendID) problem {
	version, message := proxyProtocol(service)
	switch {
	case message != "":
		return problem{service.UID, status.Warning(status.ReasonInvalidAnnotation, message)}
	case version != 0 && id.Stream != proxy.TCP:
		return problem{service.UID, status.Warning(status.ReasonUnsupportedField, fmt.Sprintf(
			"metadata.annotations[%s]: has an effect on TCPRoutes only", v1alpha1.AnnotationProxyProtocol))}
	}
	return problem{}
}

// reports returns the Events of each Service, each once, in a stable order.
func reports(problems map[proxy.BackendID]problem) map[types.NamespacedName]*status.Service {
	result := map[types.NamespacedName]*status.Service{}
	for id, p := range problems {
		key := types.NamespacedName{Namespace: id.Namespace, Name: id.Name}
		if result[key] == nil {
			result[key] = &status.Service{UID: p.uid}
		}
		if s := result[key]; !slices.Contains(s.Events, p.event) {
			s.Events = append(s.Events, p.event)
		}
	}
	for _, s := range result {
		slices.SortFunc(s.Events, func(a, b status.Event) int { return cmp.Compare(a.Message, b.Message) })
	}
	return result
}

// cut bounds what is repeated of a value that is wrong.
func cut(value string) string { return value[:min(len(value), 64)] }
