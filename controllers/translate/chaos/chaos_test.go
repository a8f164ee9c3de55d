package chaos

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/controllers/view"
)

// cluster returns a View with the Ingress default/a, in a namespace that has opted in.
func cluster() *view.View {
	v := view.New()
	v.Set(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default", Labels: map[string]string{v1alpha1.LabelChaos: v1alpha1.ChaosEnabled}}})
	v.Set(&networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a"}})
	return v
}

func latency() *v1alpha1.NetworkChaos {
	duration := v1alpha1.Duration("1m")
	return &v1alpha1.NetworkChaos{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "x", CreationTimestamp: metav1.Unix(1000, 0)},
		Spec: v1alpha1.NetworkChaosSpec{
			TargetRefs: []v1alpha1.TargetRef{{Kind: "Ingress", Name: "a"}},
			Duration:   &duration,
			Toxics:     []v1alpha1.Toxic{{Type: v1alpha1.ToxicLatency, Latency: &v1alpha1.Latency{Delays: v1alpha1.Delays{Latency: "1s"}}}},
		},
	}
}

func TestTheKillSwitchIsTakenToBeUsedUntilItIsKnown(t *testing.T) {
	v, o := cluster(), Options{Switch: types.NamespacedName{Namespace: "system", Name: "switch"}}
	lookup := view.Lookup{Kind: "ConfigMap", Namespace: "system", Name: "switch"}
	s := Build(v, Served{}, o, nil)
	if !s.Off || len(s.Lookups) != 1 || s.Lookups[0] != lookup {
		t.Errorf("before it is known: off is %v, lookups %v", s.Off, s.Lookups)
	}
	v.Listed(lookup)
	if s = Build(v, Served{}, o, s); s.Off {
		t.Error("it does not exist, and chaos is off")
	}
	v.Set(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "other", Name: "switch"}, Data: map[string]string{"chaos": "off"}})
	if s = Build(v, Served{}, o, s); s.Off {
		t.Error("one in another namespace counts")
	}
	v.Set(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "switch"}, Data: map[string]string{"chaos": " OFF\n"}})
	if s = Build(v, Served{}, o, s); !s.Off {
		t.Error("it says off, and chaos is on")
	}
}

// Only what certainly means on leaves faults alone.
func TestTheKillSwitchUnderstandsAnyWordForOff(t *testing.T) {
	o := Options{Switch: types.NamespacedName{Name: "switch"}, Files: true}
	for _, c := range []struct {
		data map[string]string
		off  bool
	}{
		{nil, true}, {map[string]string{"chao": "on"}, true}, {map[string]string{"chaos": ""}, true},
		{map[string]string{"chaos": "off"}, true}, {map[string]string{"chaos": "disabled"}, true}, {map[string]string{"chaos": "false"}, true},
		{map[string]string{"chaos": "no"}, true}, {map[string]string{"chaos": "0"}, true}, {map[string]string{"enabled": "False"}, true},
		{map[string]string{"chaos": "on", "enabled": "false"}, true}, {map[string]string{"chaos": "off", "enabled": "true"}, true},
		{map[string]string{"chaos": "on"}, false}, {map[string]string{"chaos": " Enabled\n"}, false}, {map[string]string{"enabled": "true"}, false},
		{map[string]string{"chaos": "on", "enabled": "true"}, false},
	} {
		v := cluster()
		v.Set(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "switch"}, Data: c.data})
		if s := Build(v, Served{}, o, nil); s.Off != c.off {
			t.Errorf("%q: off is %v", c.data, s.Off)
		}
	}
}

// Looking for the times of such a schedule would take the proxy long, in vain.
func TestAScheduleThatNeverMatchesIsRefused(t *testing.T) {
	for schedule, want := range map[string]bool{"0 0 29 2 *": true, "0 0 30 2 *": false, "0 0 31 4,6,9,11 *": false, "0 0 31 4,5 *": true} {
		v, c := cluster(), latency()
		c.Spec.Schedule = &schedule
		v.Set(c)
		s := Build(v, Served{}, Options{}, nil)
		if got := len(s.Experiments) == 1; got != want {
			t.Errorf("%q: accepted is %v: %+v", schedule, got, s.Reports[types.NamespacedName{Namespace: "default", Name: "x"}].Conditions)
		}
	}
}

// Paths of requests are compared in their normal form, so the values must be in it.
func TestPathsAreBroughtIntoTheFormOfRequests(t *testing.T) {
	for _, c := range []struct{ kind, value, want string }{
		{"Exact", "/%7euser/%c3%a9/café", "/~user/%C3%A9/caf%C3%A9"}, {"PathPrefix", "/a%2db", "/a-b"}, {"Exact", "/a%2fb", "/a%2Fb"}, {"", "/", "/"},
		{"RegularExpression", "/%7e//a", "/%7e//a"},
		{"Exact", "/a//b", ""}, {"PathPrefix", "/a/../b", ""}, {"", "/a b", ""}, {"", "/a?b=1", ""}, {"Exact", "a", ""}, {"RegularExpression", "(", ""},
	} {
		v, x := cluster(), latency()
		x.Spec.Match = []v1alpha1.Match{{Path: &v1alpha1.PathMatch{Type: c.kind, Value: c.value}}}
		v.Set(x)
		s, got := Build(v, Served{}, Options{}, nil), ""
		if len(s.Experiments) == 1 {
			got = s.Experiments[0].Matches[0].Path.Value
		}
		if got != c.want {
			t.Errorf("%s %q becomes %q, want %q: %+v", c.kind, c.value, got, c.want, s.Reports[types.NamespacedName{Namespace: "default", Name: "x"}].Conditions)
		}
	}
}

// A Secret made from a file ends as the file does, and the command that makes tokens reads files without their last line feed.
func TestSecretWithLineFeed(t *testing.T) {
	for data, want := range map[string]string{"secret": "secret", "secret\n": "secret", "secret\n\n": "secret\n", "\n": "", "": ""} {
		v, c, header := cluster(), latency(), "X-Chaos"
		c.Spec.Token = &v1alpha1.Token{Header: &header, SecretRef: v1alpha1.SecretKeyRef{Name: "s"}}
		v.Set(c)
		v.Set(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "s"}, Data: map[string][]byte{"key": []byte(data)}})
		got := ""
		for _, x := range Build(v, Served{}, Options{Files: true}, nil).Experiments {
			got = x.Token.Secret
		}
		if got != want {
			t.Errorf("%q: %q, want %q", data, got, want)
		}
	}
}

func TestPodsAreLookedUpWhileSomebodyAsks(t *testing.T) {
	v, c := cluster(), latency()
	c.Spec.At = v1alpha1.PointBackend
	c.Spec.Endpoints = &v1alpha1.EndpointSelector{PodSelector: &v1alpha1.PodSelector{MatchLabels: map[string]v1alpha1.LabelValue{"b": "2", "a": "1"}}}
	v.Set(c)
	s := Build(v, Served{}, Options{}, nil)
	want := view.Lookup{Kind: "Pod", Namespace: "default", Labels: "a=1,b=2"}
	if len(s.Lookups) != 1 || s.Lookups[0] != want || len(s.Experiments) != 0 {
		t.Fatalf("lookups %v, experiments %v", s.Lookups, s.Experiments)
	}
	v.SetPod(want, "p", true)
	v.Listed(want)
	s = Build(v, Served{}, Options{}, s)
	if len(s.Experiments) != 1 || len(s.Experiments[0].Endpoints.Pods) != 1 {
		t.Fatalf("experiments %v", s.Experiments)
	}
	same := Build(v, Served{}, Options{}, s)
	if same != s {
		t.Error("nothing has changed, and the outcome is another")
	}
	v.Delete(c)
	v.Forget(want)
	if s = Build(v, Served{}, Options{}, s); len(s.Lookups) != 0 || len(s.Experiments) != 0 {
		t.Errorf("afterwards: lookups %v, experiments %v", s.Lookups, s.Experiments)
	}
}

// What has not changed keeps its pointer, by which the data plane knows.
// Whatever a namespace that has not opted in has behind a shared target is left alone.
func TestSparedNamespaces(t *testing.T) {
	v := cluster()
	v.Set(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a"}})
	at := func(namespace string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: namespace, Name: "r"} }
	for _, object := range []view.Object{
		&gatewayv1.HTTPRoute{ObjectMeta: at("http")}, &gatewayv1.TCPRoute{ObjectMeta: at("tcp")}, &gatewayv1.UDPRoute{ObjectMeta: at("udp")},
		&networkingv1.Ingress{ObjectMeta: at("ingress")}, &gatewayv1.TCPRoute{ObjectMeta: at("default")},
	} {
		v.Set(object)
	}
	for kind, want := range map[string][]string{"Service": {"http", "ingress", "tcp", "udp"}, "Ingress": nil} {
		x := latency()
		x.Spec.TargetRefs[0].Kind = kind
		v.Set(x)
		s := Build(v, Served{}, Options{}, nil)
		if len(s.Experiments) != 1 || !slices.Equal(s.Experiments[0].Spared, want) {
			t.Errorf("%s: %+v, want %v to be spared", kind, s.Experiments, want)
		}
		if want := []string{"default"}; !slices.Equal(s.Namespaces, want) {
			t.Errorf("TCPRoutes of %v may be broken, want %v", s.Namespaces, want)
		}
	}
}

func TestAnExperimentKeepsItsPointer(t *testing.T) {
	v := cluster()
	v.Set(latency())
	first := Build(v, Served{}, Options{}, nil)
	again := latency() // as after a write of its status
	v.Set(again)
	second := Build(v, Served{}, Options{}, first)
	if second.Experiments[0] != first.Experiments[0] {
		t.Error("an equal object makes another Experiment")
	}
	again = latency()
	again.Status.Halt = &v1alpha1.Halt{}
	v.Set(again)
	if third := Build(v, Served{}, Options{}, second); third.Experiments[0] == first.Experiments[0] || !third.Experiments[0].Halted {
		t.Error("a halt is not taken over")
	}
}

// The data plane is told of what is not accepted, and why, so that whoever asks it hears of the object.
func TestWhatIsRefusedIsPassedOn(t *testing.T) {
	v, c := cluster(), latency()
	c.UID, c.Generation = "u", 3
	c.Spec.TargetRefs[0].Name = "gone"
	v.Set(c)
	first := Build(v, Served{}, Options{}, nil)
	if len(first.Refused) != 1 || len(first.Experiments) != 0 {
		t.Fatalf("refused %+v, experiments %v", first.Refused, first.Experiments)
	}
	r := first.Refused[0]
	if r.ID.String() != "NetworkChaos/default/x" || r.UID != "u" || r.Revision != 3 || !r.Created.Equal(c.CreationTimestamp.Time) ||
		r.Reason != v1alpha1.ReasonTargetNotFound || r.Message == "" {
		t.Errorf("%+v", r)
	}
	if Build(v, Served{}, Options{}, first) != first {
		t.Error("nothing has changed, and the outcome is another")
	}
	v.Set(latency())
	if s := Build(v, Served{}, Options{}, first); len(s.Refused) != 0 || len(s.Experiments) != 1 {
		t.Errorf("refused %+v, experiments %v", s.Refused, s.Experiments)
	}
}

// Deleting an object ends what it does, whoever keeps the object.
func TestAnObjectHeldByAFinalizerDoesNothing(t *testing.T) {
	v, c := cluster(), latency()
	v.Set(c)
	before := Build(v, Served{}, Options{}, nil)
	now := metav1.Unix(2000, 0)
	c = latency()
	c.DeletionTimestamp, c.Finalizers = &now, []string{"foregroundDeletion"}
	v.Set(c)
	s := Build(v, Served{}, Options{}, before)
	report := s.Reports[types.NamespacedName{Namespace: "default", Name: "x"}].Conditions[0]
	if len(before.Experiments) != 1 || len(s.Experiments) != 0 || len(s.Refused) != 0 || report.Reason != v1alpha1.ReasonBeingDeleted || report.Status != metav1.ConditionFalse {
		t.Errorf("experiments %v, report %+v", s.Experiments, report)
	}
}

// Objects may be older than the rules of the definition: whatever they say, nothing panics, and what is accepted is valid.
func FuzzSpec(f *testing.F) {
	for _, seed := range []string{
		`{"targetRefs":[{"kind":"Ingress","name":"a"}],"duration":"1m","toxics":[{"type":"Latency","latency":{"latency":"1s"}}]}`,
		`{"targetRefs":[{"kind":"Ingress","name":"a"}],"duration":"1m","preset":"3G","percent":-5,"sequence":{"steps":[{"count":-1}]}}`,
		`{"targetRefs":[{"kind":"Ingress","name":"a"}],"duration":"x","toxics":[{"type":"Slicer","slicer":{"averageSize":"1e9"}}]}`,
		`{"targetRefs":[{"kind":"Ingress","name":"a"}],"duration":"9h","match":[{"path":{"value":""}}],"guard":{},"token":{},"schedule":"* * * * *"}`,
		`{"targetRefs":[{"kind":"Ingress","name":"a"}],"duration":"9h","toxics":[{"type":"Bandwidth","bandwidth":{"rate":5},"shapes":[{"parameter":"rate","type":"Ramp","to":{"bytes":-1}}]}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := latency()
		c.Spec = v1alpha1.NetworkChaosSpec{}
		if json.Unmarshal(data, &c.Spec) != nil {
			return
		}
		v := cluster()
		v.Set(c)
		for _, x := range Build(v, Served{}, Options{MaxDuration: time.Hour}, nil).Experiments {
			if x.Window.Duration <= 0 || x.Window.Duration > time.Hour || len(x.Toxics) == 0 || x.Percent.Min() < 0 || x.Percent.Max() > 100 {
				t.Errorf("%+v", x)
			}
			for _, toxic := range x.Toxics {
				if v, ok := toxic.Toxic.(interface{ Validate() error }); ok && v.Validate() != nil {
					t.Errorf("%+v: %v", toxic, v.Validate())
				}
			}
		}
	})
}
