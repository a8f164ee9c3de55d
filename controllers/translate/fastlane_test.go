package translate_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/view"
)

// TestSliceThatCameFastAndWentSlowly: an EndpointSlice comes by the fast lane and goes in a full build, so that the Service
// has the very slices again that it had before. Its endpoints must go with it.
func TestSliceThatCameFastAndWentSlowly(t *testing.T) {
	for _, c := range []struct {
		name   string
		others int // changes of other objects; what a View has forgotten can be anything
	}{{"known", 0}, {"forgotten", 5000}} {
		t.Run(c.name, func(t *testing.T) {
			v := view.New()
			for _, d := range view.Parse("", []byte(sharingObjects)) {
				v.Set(d.Object)
			}
			key := types.NamespacedName{Namespace: "default", Name: "web"}
			v.Set(sliceOf("web-a", "10.0.0.1"))
			first := translate.Build(v, testOptions(), nil)

			surge := sliceOf("web-b", "10.0.0.2")
			v.Set(surge)
			second := translate.Endpoints(v, testOptions(), first, []types.NamespacedName{key})
			v.Delete(surge)
			for range c.others {
				v.Set(&corev1.Namespace{})
			}
			third := translate.Build(v, testOptions(), second)
			if got, want := translate.Text(third.Snapshot), translate.Text(first.Snapshot); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func sliceOf(name, address string) *discoveryv1.EndpointSlice {
	port, portName := int32(3000), ""
	s := &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4}
	s.Namespace, s.Name = "default", name
	s.Labels = map[string]string{discoveryv1.LabelServiceName: "web"}
	s.Ports = []discoveryv1.EndpointPort{{Name: &portName, Port: &port}}
	s.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{address}}}
	return s
}
