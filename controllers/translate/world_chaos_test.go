package translate_test

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/controllers/view"
)

// chaos returns a NetworkChaos, or something that one refers to.
func (w *world) chaos(meta metav1.ObjectMeta) view.Object {
	switch w.IntN(8) {
	case 0:
		return &corev1.Secret{ObjectMeta: meta, Data: map[string][]byte{pick(w, "key", "other"): []byte(pick(w, "x", ""))}}
	case 1:
		meta.Name = "breakwater-chaos"
		return &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"chaos": pick(w, "on", "off")}}
	case 2:
		meta.Labels = map[string]string{"app": pick(w, "a", "b")}
		return &corev1.Pod{ObjectMeta: meta}
	case 3:
		g := &gatewayv1.ReferenceGrant{ObjectMeta: meta}
		g.Name += "-chaos"
		g.Spec.From = []gatewayv1.ReferenceGrantFrom{{Group: v1alpha1.Group, Kind: v1alpha1.KindNetworkChaos, Namespace: gatewayv1.Namespace(pick(w, "one", "two"))}}
		g.Spec.To = []gatewayv1.ReferenceGrantTo{{Group: "networking.k8s.io", Kind: "Ingress"}}
		return g
	}
	c := &v1alpha1.NetworkChaos{ObjectMeta: meta}
	for range 1 + w.IntN(2) {
		ref := v1alpha1.TargetRef{Kind: pick(w, "Ingress", "HTTPRoute", "TCPRoute", "UDPRoute", "Gateway", "Service", "GRPCRoute"), Name: pick(w, "a", "b")}
		if w.IntN(3) == 0 {
			ref.Namespace = new(pick(w, "one", "two"))
		}
		c.Spec.TargetRefs = append(c.Spec.TargetRefs, ref)
	}
	if w.IntN(6) > 0 {
		c.Spec.Duration = new(pick[v1alpha1.Duration](w, "1m", "5m", "48h"))
	}
	switch w.IntN(4) {
	case 0:
		c.Spec.Preset = new(pick(w, v1alpha1.Preset3G, "none"))
	case 1:
		c.Spec.Toxics = []v1alpha1.Toxic{{Type: v1alpha1.ToxicAbort, Abort: &v1alpha1.Abort{Status: new(pick[int32](w, 503, 700))}}}
	default:
		c.Spec.Toxics = []v1alpha1.Toxic{{Type: v1alpha1.ToxicLatency, Latency: &v1alpha1.Latency{Delays: v1alpha1.Delays{Latency: "1s"}}}}
	}
	if w.IntN(4) == 0 {
		c.Spec.Token = &v1alpha1.Token{Header: new("x"), SecretRef: v1alpha1.SecretKeyRef{Name: pick(w, "a", "b"), Key: "key"}}
	}
	if w.IntN(4) == 0 {
		c.Spec.At = v1alpha1.PointBackend
		c.Spec.Endpoints = &v1alpha1.EndpointSelector{PodSelector: &v1alpha1.PodSelector{MatchLabels: map[string]v1alpha1.LabelValue{"app": "a"}}}
	}
	if w.IntN(6) == 0 {
		c.Status.Halt = &v1alpha1.Halt{Rearm: pick(w, "", "x")}
	}
	return c
}
