// Package view holds the objects that a build looks at: typed maps of immutable objects, filled from informer caches or
// from files.
//
// A View is owned by one goroutine, which alone calls Set and Delete and which runs the build. The objects are shared
// with caches and must not be modified by anybody. An object that has not changed keeps its pointer; that is how a build
// knows what it need not translate again.
package view

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
)

// Object is what a View takes: any Kubernetes object (client.Object of controller-runtime has the same methods).
type Object interface {
	metav1.Object
	runtime.Object
}

// View is the state of the cluster as far as routing needs it. The maps are for reading; use Set and Delete to change
// them.
type View struct {
	IngressClasses map[string]*networkingv1.IngressClass
	Ingresses      map[types.NamespacedName]*networkingv1.Ingress
	GatewayClasses map[string]*gatewayv1.GatewayClass
	Gateways       map[types.NamespacedName]*gatewayv1.Gateway
	HTTPRoutes     map[types.NamespacedName]*gatewayv1.HTTPRoute
	TCPRoutes      map[types.NamespacedName]*gatewayv1.TCPRoute
	UDPRoutes      map[types.NamespacedName]*gatewayv1.UDPRoute
	Services       map[types.NamespacedName]*corev1.Service
	Namespaces     map[string]*corev1.Namespace
	NetworkChaos   map[types.NamespacedName]*v1alpha1.NetworkChaos

	// Only those that are looked up (see Lookup), or that files hold.
	Secrets    map[types.NamespacedName]*corev1.Secret
	ConfigMaps map[types.NamespacedName]*corev1.ConfigMap
	Pods       map[types.NamespacedName]*corev1.Pod // of files only
	// Withheld are the NetworkChaos that are not to act for now, and why; of files only. Use Withhold to change it.
	Withheld map[types.NamespacedName]string

	// EndpointSlices by the Service they belong to (label kubernetes.io/service-name), sorted by name. A list is
	// replaced, never changed, so that comparing its elements tells whether anything is new.
	EndpointSlices map[types.NamespacedName][]*discoveryv1.EndpointSlice
	// ReferenceGrants by namespace, sorted by name; lists are replaced, never changed.
	ReferenceGrants map[string][]*gatewayv1.ReferenceGrant

	lookups    map[Lookup]found
	sliceOwner map[types.NamespacedName]string // EndpointSlice to the name of its Service
	revision   uint64
	journal    []change // the latest changes
}

// New returns an empty View.
func New() *View {
	return &View{
		IngressClasses:  map[string]*networkingv1.IngressClass{},
		Ingresses:       map[types.NamespacedName]*networkingv1.Ingress{},
		GatewayClasses:  map[string]*gatewayv1.GatewayClass{},
		Gateways:        map[types.NamespacedName]*gatewayv1.Gateway{},
		HTTPRoutes:      map[types.NamespacedName]*gatewayv1.HTTPRoute{},
		TCPRoutes:       map[types.NamespacedName]*gatewayv1.TCPRoute{},
		UDPRoutes:       map[types.NamespacedName]*gatewayv1.UDPRoute{},
		Services:        map[types.NamespacedName]*corev1.Service{},
		Namespaces:      map[string]*corev1.Namespace{},
		EndpointSlices:  map[types.NamespacedName][]*discoveryv1.EndpointSlice{},
		ReferenceGrants: map[string][]*gatewayv1.ReferenceGrant{},
		NetworkChaos:    map[types.NamespacedName]*v1alpha1.NetworkChaos{},
		Secrets:         map[types.NamespacedName]*corev1.Secret{},
		ConfigMaps:      map[types.NamespacedName]*corev1.ConfigMap{},
		Pods:            map[types.NamespacedName]*corev1.Pod{},
		Withheld:        map[types.NamespacedName]string{},
		lookups:         map[Lookup]found{},
		sliceOwner:      map[types.NamespacedName]string{},
	}
}

// Set adds the object or replaces the one of the same kind and name. It panics if the kind has no place in a View: that
// is a mistake of the caller, not of the object.
func (v *View) Set(object Object) {
	key := keyOf(object)
	if !isSlice(object) {
		v.note(changeOf(object))
	}
	switch o := object.(type) {
	case *networkingv1.IngressClass:
		v.IngressClasses[o.Name] = o
	case *networkingv1.Ingress:
		v.Ingresses[key] = o
	case *gatewayv1.GatewayClass:
		v.GatewayClasses[o.Name] = o
	case *gatewayv1.Gateway:
		v.Gateways[key] = o
	case *gatewayv1.HTTPRoute:
		v.HTTPRoutes[key] = o
	case *gatewayv1.TCPRoute:
		v.TCPRoutes[key] = o
	case *gatewayv1.UDPRoute:
		v.UDPRoutes[key] = o
	case *gatewayv1.ReferenceGrant:
		put(v.ReferenceGrants, o.Namespace, o)
	case *corev1.Service:
		v.Services[key] = o
	case *corev1.Namespace:
		v.Namespaces[o.Name] = o
	case *v1alpha1.NetworkChaos:
		v.NetworkChaos[key] = o
	case *corev1.Secret:
		v.Secrets[key] = o
	case *corev1.ConfigMap:
		v.ConfigMaps[key] = o
	case *corev1.Pod:
		v.Pods[key] = o
	case *discoveryv1.EndpointSlice:
		v.setSlice(key, o)
	default:
		panic(fmt.Sprintf("view: no place for a %T", object))
	}
}

// Delete removes the object of this kind and name, if it is there. Only kind, namespace and name are looked at.
func (v *View) Delete(object Object) {
	key := keyOf(object)
	if !isSlice(object) {
		v.note(changeOf(object))
	}
	switch o := object.(type) {
	case *networkingv1.IngressClass:
		delete(v.IngressClasses, o.Name)
	case *networkingv1.Ingress:
		delete(v.Ingresses, key)
	case *gatewayv1.GatewayClass:
		delete(v.GatewayClasses, o.Name)
	case *gatewayv1.Gateway:
		delete(v.Gateways, key)
	case *gatewayv1.HTTPRoute:
		delete(v.HTTPRoutes, key)
	case *gatewayv1.TCPRoute:
		delete(v.TCPRoutes, key)
	case *gatewayv1.UDPRoute:
		delete(v.UDPRoutes, key)
	case *gatewayv1.ReferenceGrant:
		drop(v.ReferenceGrants, o.Namespace, o.Name)
	case *corev1.Service:
		delete(v.Services, key)
	case *corev1.Namespace:
		delete(v.Namespaces, o.Name)
	case *v1alpha1.NetworkChaos:
		delete(v.NetworkChaos, key)
	case *corev1.Secret:
		delete(v.Secrets, key)
	case *corev1.ConfigMap:
		delete(v.ConfigMaps, key)
	case *corev1.Pod:
		delete(v.Pods, key)
	case *discoveryv1.EndpointSlice:
		v.dropSlice(key)
	default:
		panic(fmt.Sprintf("view: no place for a %T", object))
	}
}

// Withhold notes why a NetworkChaos is not to act for now; "" is that it may.
func (v *View) Withhold(key types.NamespacedName, why string) {
	if why == "" {
		delete(v.Withheld, key)
	} else {
		v.Withheld[key] = why
	}
	v.note(change{kind: changedChaos})
}

// ServiceOf returns the Service that the View holds this EndpointSlice under, by the slice's own namespace and name. A
// slice may move from one Service to another by its label: both have then changed.
func (v *View) ServiceOf(slice types.NamespacedName) (types.NamespacedName, bool) {
	name, ok := v.sliceOwner[slice]
	return types.NamespacedName{Namespace: slice.Namespace, Name: name}, ok
}

func (v *View) setSlice(key types.NamespacedName, slice *discoveryv1.EndpointSlice) {
	owner := slice.Labels[discoveryv1.LabelServiceName]
	if old, ok := v.sliceOwner[key]; ok && old != owner {
		v.dropSlice(key)
	}
	if owner == "" {
		return
	}
	service := types.NamespacedName{Namespace: key.Namespace, Name: owner}
	v.sliceOwner[key] = owner
	put(v.EndpointSlices, service, slice)
	v.noteSlices(service)
}

func (v *View) dropSlice(key types.NamespacedName) {
	owner, ok := v.sliceOwner[key]
	if !ok {
		return
	}
	service := types.NamespacedName{Namespace: key.Namespace, Name: owner}
	delete(v.sliceOwner, key)
	drop(v.EndpointSlices, service, key.Name)
	v.noteSlices(service)
}

// put replaces the list at key by one that holds object, sorted by name.
func put[K comparable, O metav1.Object](lists map[K][]O, key K, object O) {
	list := lists[key]
	i, found := find(list, object.GetName())
	next := make([]O, 0, len(list)+1)
	next = append(append(next, list[:i]...), object)
	if found {
		i++
	}
	lists[key] = append(next, list[i:]...)
}

// drop replaces the list at key by one without the object called name.
func drop[K comparable, O metav1.Object](lists map[K][]O, key K, name string) {
	list := lists[key]
	i, found := find(list, name)
	switch {
	case !found:
	case len(list) == 1:
		delete(lists, key)
	default:
		lists[key] = slices.Concat(list[:i], list[i+1:])
	}
}

func find[O metav1.Object](list []O, name string) (int, bool) {
	return slices.BinarySearchFunc(list, name, func(o O, name string) int { return strings.Compare(o.GetName(), name) })
}

func keyOf(object metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
}
