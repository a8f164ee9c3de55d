package ingress

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/controllers/translate/backend"
	"github.com/breakwater-gateway/breakwater/controllers/translate/host"
	"github.com/breakwater-gateway/breakwater/controllers/view"
	"github.com/breakwater-gateway/breakwater/controllers/view/syntax"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// object is one Ingress, translated, with what it was made from.
type object struct {
	source   *networkingv1.Ingress
	services []dependency

	rank     host.Rank
	parts    []*host.Part
	fallback *proxy.Route // default backend of all hosts
	uses     []proxy.BackendID
	events   []status.Event
}

// dependency is a Service that was looked up, and what was found.
type dependency struct {
	key     types.NamespacedName
	service *corev1.Service
}

// fresh reports whether translating source would give the same again.
func (b *object) fresh(v *view.View, source *networkingv1.Ingress) bool {
	if b.source != source && !same(b.source, source) {
		return false
	}
	for i := range b.services {
		if d := &b.services[i]; v.Services[d.key] != d.service {
			return false
		}
	}
	return true
}

// dependsOn reports whether one of these Services was looked up.
func (b *object) dependsOn(services map[types.NamespacedName]bool) bool {
	for i := range b.services {
		if services[b.services[i].key] {
			return true
		}
	}
	return false
}

// same reports whether two versions of an object differ only in what is not translated, as after a write of its status:
// the API server counts up the generation with every change of the spec.
func same(a, b *networkingv1.Ingress) bool {
	return a.UID == b.UID && a.UID != "" && a.Generation == b.Generation && a.Generation > 0 &&
		maps.Equal(a.Annotations, b.Annotations)
}

// translation is an object in the making.
type translation struct {
	*object
	view    *view.View
	options Options
}

func translate(v *view.View, o Options, source *networkingv1.Ingress) *object {
	t := translation{
		object: &object{
			source: source,
			rank:   host.Rank{Created: source.CreationTimestamp.Time, Namespace: source.Namespace, Name: source.Name},
		},
		view: v, options: o,
	}
	if len(source.Spec.TLS) > 0 {
		t.warn(status.ReasonTLSNotServed, "spec.tls: TLS is not served yet; the hosts are served over plain HTTP")
	}
	var fallback *proxy.Route
	if source.Spec.DefaultBackend != nil {
		fallback = t.route(proxy.Match{}, place{rule: -1}, source.Spec.DefaultBackend)
	}
	if len(source.Spec.Rules) == 0 {
		if fallback == nil {
			t.warn(status.ReasonInvalidBackend, "spec: has neither rules nor a default backend")
		}
		t.fallback = fallback
		return t.object
	}
	for i := range source.Spec.Rules {
		t.rule(i, &source.Spec.Rules[i], fallback)
	}
	return t.object
}

func (t *translation) rule(i int, rule *networkingv1.IngressRule, fallback *proxy.Route) {
	if rule.Host != "" {
		if problem := syntax.HostProblem(rule.Host); problem != "" {
			t.warn(status.ReasonInvalidHost, fmt.Sprintf("spec.rules[%d].host: %q %s; the rule is left out", i, rule.Host, problem))
			return
		}
	}
	part := t.part(rule.Host)
	part.Fallback = fallback
	if rule.HTTP == nil {
		return
	}
	for j := range rule.HTTP.Paths {
		path := &rule.HTTP.Paths[j]
		at := place{i, j}
		match, problem := pathMatch(path)
		if problem != "" {
			t.warn(status.ReasonInvalidPath, fmt.Sprintf("%s.%s; the path is left out", at, problem))
			continue
		}
		part.Routes = append(part.Routes, t.route(proxy.Match{Path: match}, at, &path.Backend))
	}
}

// part returns the Part for a host name. Several rules may name the same host.
func (t *translation) part(name string) *host.Part {
	for _, p := range t.parts {
		if p.Host == name {
			return p
		}
	}
	p := &host.Part{Host: name, SingleLabel: true, Rank: t.rank}
	t.parts = append(t.parts, p)
	return p
}

// pathMatch returns the condition on the path, or the field and what is wrong with it.
func pathMatch(path *networkingv1.HTTPIngressPath) (proxy.PathMatch, string) {
	if path.PathType == nil {
		return proxy.PathMatch{}, "pathType: is missing"
	}
	match := proxy.PathMatch{Value: path.Path}
	switch *path.PathType {
	case networkingv1.PathTypeExact:
		match.Type = proxy.PathExact
	case networkingv1.PathTypePrefix:
	case networkingv1.PathTypeImplementationSpecific:
		if match.Value == "" {
			match.Value = "/"
		}
	default:
		return proxy.PathMatch{}, fmt.Sprintf("pathType: %q is not known", *path.PathType)
	}
	var problem string
	if match.Value, problem = syntax.Path(match.Value); problem != "" {
		return proxy.PathMatch{}, fmt.Sprintf("path: %q %s", path.Path, problem)
	}
	return match, ""
}

// place is a path of a rule, or, if rule is negative, the default backend.
type place struct{ rule, path int }

// String returns the field.
func (p place) String() string {
	if p.rule < 0 {
		return "spec"
	}
	return fmt.Sprintf("spec.rules[%d].http.paths[%d]", p.rule, p.path)
}

// backend returns the field of the backend.
func (p place) backend() string {
	if p.rule < 0 {
		return "spec.defaultBackend"
	}
	return p.String() + ".backend"
}

func (t *translation) route(match proxy.Match, at place, b *networkingv1.IngressBackend) *proxy.Route {
	id := proxy.RouteID{
		Object: proxy.ObjectID{Kind: Kind, Namespace: t.source.Namespace, Name: t.source.Name},
		Rule:   at.rule, Match: at.path,
	}
	return &proxy.Route{ID: id, Match: match, Backends: []proxy.WeightedBackend{t.share(at, b)}}
}

func (t *translation) share(at place, b *networkingv1.IngressBackend) proxy.WeightedBackend {
	switch {
	case b.Resource != nil:
		return t.refuse(at, "resource", fmt.Sprintf("%s %q: resource backends are not supported", b.Resource.Kind, b.Resource.Name))
	case b.Service == nil:
		return t.refuse(at, "service", "is missing")
	case b.Service.Port.Name == "" && b.Service.Port.Number == 0:
		return t.refuse(at, "service.port", "has neither name nor number")
	}
	ref := backend.Ref{
		Service:  types.NamespacedName{Namespace: t.source.Namespace, Name: b.Service.Name},
		Port:     b.Service.Port.Number,
		PortName: b.Service.Port.Name,
	}
	service := t.view.Services[ref.Service]
	t.depend(ref.Service, service)
	r := backend.Resolve(service, ref, t.options.AllowExternalName)
	share := proxy.WeightedBackend{Backend: r.ID, Weight: 1}
	if r.Failure == backend.ExternalNameRefused || r.Failure == backend.UnsupportedProtocol {
		share.Invalid = r.Message
	} else {
		t.uses = append(t.uses, r.ID) // what does not exist is a Backend without Endpoints: 503
	}
	if r.Failure != backend.None {
		reason, field := failureReason(r.Failure)
		t.warn(reason, fmt.Sprintf("%s.%s: %s", at.backend(), field, r.Message))
	}
	return share
}

// failureReason returns the reason of the Event for a Failure, and the field of the backend it is about.
func failureReason(f backend.Failure) (reason, field string) {
	switch f {
	case backend.NotFound:
		return status.ReasonServiceNotFound, "service.name"
	case backend.PortNotFound:
		return status.ReasonPortNotFound, "service.port"
	case backend.ExternalNameRefused:
		return status.ReasonExternalNameRefused, "service"
	default:
		return status.ReasonUnsupportedProtocol, "service.port"
	}
}

func (t *translation) refuse(at place, field, problem string) proxy.WeightedBackend {
	message := fmt.Sprintf("%s.%s: %s", at.backend(), field, problem)
	t.warn(status.ReasonInvalidBackend, message)
	return proxy.WeightedBackend{Weight: 1, Invalid: message}
}

func (t *translation) depend(key types.NamespacedName, service *corev1.Service) {
	for i := range t.services {
		if t.services[i].key == key {
			return
		}
	}
	t.services = append(t.services, dependency{key, service})
}

func (t *translation) warn(reason, message string) {
	t.events = append(t.events, status.Warning(reason, message))
}
