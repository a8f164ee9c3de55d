package controllers

import (
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/cache"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
)

// kind is a kind of object that is watched.
type kind struct {
	name   string
	object client.Object
	// optional kinds come with custom resource definitions that the cluster may lack or get later.
	optional bool
	// status: we write the status of these objects, and a change of nothing else is no change of configuration.
	status bool
}

// kinds lists what is watched, in all namespaces. Each has a line in config/rbac.
func kinds() []kind {
	return []kind{
		{name: "IngressClass", object: &networkingv1.IngressClass{}},
		{name: "Ingress", object: &networkingv1.Ingress{}, status: true},
		{name: "GatewayClass", object: &gatewayv1.GatewayClass{}, optional: true, status: true},
		{name: "Gateway", object: &gatewayv1.Gateway{}, optional: true, status: true},
		{name: "HTTPRoute", object: &gatewayv1.HTTPRoute{}, optional: true, status: true},
		{name: "TCPRoute", object: &gatewayv1.TCPRoute{}, optional: true, status: true},
		{name: "UDPRoute", object: &gatewayv1.UDPRoute{}, optional: true, status: true},
		{name: "ReferenceGrant", object: &gatewayv1.ReferenceGrant{}, optional: true},
		{name: "NetworkChaos", object: &v1alpha1.NetworkChaos{}, optional: true, status: true},
		{name: "Service", object: &corev1.Service{}},
		{name: "EndpointSlice", object: &discoveryv1.EndpointSlice{}},
		{name: "Namespace", object: &corev1.Namespace{}},
	}
}

// newScheme returns the types of all kinds, and those that the writers and the leader election need.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, gatewayv1.Install, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return scheme, nil
}

// cacheOptions leave out of the caches what nobody reads, and have their informers outlast outages.
func cacheOptions(o *outage) ctrlcache.Options {
	return ctrlcache.Options{
		DefaultTransform: strip,
		NewInformer: func(lw cache.ListerWatcher, of runtime.Object, resync time.Duration, by cache.Indexers) cache.SharedIndexInformer {
			return cache.NewSharedIndexInformer(o.bridge(lw), of, resync, by)
		},
	}
}

var _ cache.TransformFunc = strip

// strip removes the fields that only the API server and kubectl apply read.
func strip(object any) (any, error) {
	o, err := meta.Accessor(object)
	if err != nil {
		return object, nil // a tombstone: nothing to strip
	}
	o.SetManagedFields(nil)
	if annotations := o.GetAnnotations(); annotations[corev1.LastAppliedConfigAnnotation] != "" {
		annotations = maps.Clone(annotations)
		delete(annotations, corev1.LastAppliedConfigAnnotation)
		o.SetAnnotations(annotations)
	}
	return object, nil
}

// onlyStatus reports whether an update of an object whose spec has a generation changed nothing that is configuration.
func onlyStatus(old, updated metav1.Object) bool {
	return old.GetUID() == updated.GetUID() &&
		old.GetGeneration() == updated.GetGeneration() &&
		old.GetDeletionTimestamp().Equal(updated.GetDeletionTimestamp()) &&
		maps.Equal(old.GetLabels(), updated.GetLabels()) &&
		maps.Equal(old.GetAnnotations(), updated.GetAnnotations()) &&
		sameHalt(old, updated)
}

// sameHalt reports whether two states of an object say the same of a halt, which is a part of the status that replicas tell each
// other by.
func sameHalt(old, updated metav1.Object) bool {
	a, isChaos := old.(*v1alpha1.NetworkChaos)
	b, _ := updated.(*v1alpha1.NetworkChaos)
	return !isChaos || b == nil || equality.Semantic.DeepEqual(a.Status.Halt, b.Status.Halt)
}
