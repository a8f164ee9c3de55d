package controllers

import (
	"context"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// oneChaos is a cluster with one NetworkChaos.
type oneChaos struct {
	client.Reader
	object  v1alpha1.NetworkChaos
	patched int
}

func (s *oneChaos) Get(_ context.Context, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	s.object.DeepCopyInto(o.(*v1alpha1.NetworkChaos))
	return nil
}

func (s *oneChaos) Status() client.SubResourceWriter { return statusOfChaos{s: s} }

type statusOfChaos struct {
	client.SubResourceWriter
	s *oneChaos
}

func (w statusOfChaos) Patch(_ context.Context, o client.Object, _ client.Patch, _ ...client.SubResourcePatchOption) error {
	o.(*v1alpha1.NetworkChaos).DeepCopyInto(&w.s.object)
	w.s.patched++
	return nil
}

// haltCluster returns a cluster with a NetworkChaos, a reporter of each of two replicas, and what the data planes there say.
func haltCluster() (s *oneChaos, a, b *chaosReporter, live func(haltedAt int64, lifted uint64) *proxy.ExperimentStatus) {
	s = &oneChaos{}
	s.object.UID, s.object.Namespace, s.object.Name = "u", "shop", "x"
	replica := func() *chaosReporter {
		return &chaosReporter{chaos: &dataPlane{}, reader: s, writer: s, log: slog.New(slog.DiscardHandler), halts: map[string]toldHalt{}}
	}
	return s, replica(), replica(), func(haltedAt int64, lifted uint64) *proxy.ExperimentStatus {
		live := proxy.ExperimentStatus{
			ID: proxy.ObjectID{Kind: "NetworkChaos", Namespace: "shop", Name: "x"}, UID: "u", LiftedHalts: lifted,
		}
		if haltedAt != 0 {
			live.HaltedAt, live.HaltedReason, live.HaltedRearm = time.Unix(haltedAt, 0), "bad", s.object.Spec.Rearm
		}
		return &live
	}
}

// Every halt is told once, also one under a value of rearm that has been used before.
func TestEveryHaltIsToldOnce(t *testing.T) {
	s, a, _, live := haltCluster()
	for i, rearm := range []string{"", "again", "", "again", "again"} {
		s.object.Spec.Rearm, s.object.Status.Halt = rearm, nil
		for range 3 {
			a.tellHalt(t.Context(), live(int64(i+1), 0))
		}
		if h := s.object.Status.Halt; s.patched != i+1 || h == nil || h.Rearm != rearm || h.Message != "bad" || s.object.Status.Halts != int64(i+1) {
			t.Errorf("halt %d (rearm %q): %+v, written %d times", i+1, rearm, s.object.Status, s.patched)
		}
		s.object.Status.Halt = nil // whoever takes it back has a reason
		if a.tellHalt(t.Context(), live(int64(i+1), 0)); s.patched != i+1 {
			t.Error("told again")
		}
	}
}

// A halt that nobody has lifted here stays, also where halts are not counted: the CRD may be of before status.halts.
func TestAHaltWithoutANumberStays(t *testing.T) {
	s, a, b, live := haltCluster()
	a.tellHalt(t.Context(), live(1, 0))
	s.object.Status.Halts = 0
	s.object.Spec.Rearm, s.object.Status.Halt = "2", nil
	a.tellHalt(t.Context(), live(0, 0))
	b.tellHalt(t.Context(), live(2, 0))
	s.object.Status.Halts = 0
	a.tellHalt(t.Context(), live(0, 0))
	if s.object.Status.Halt == nil {
		t.Error("a has removed what b has halted")
	}
	b.tellHalt(t.Context(), live(0, 0))
	if s.object.Status.Halts = 1; s.object.Status.Halt == nil {
		t.Error("b has removed a halt of another number")
	}
	b.tellHalt(t.Context(), live(0, 0))
	if s.object.Status.Halt != nil {
		t.Error("b has not lifted its own")
	}
}

// A halt that is lifted in one replica is lifted in the cluster; the next one is told again, though rearm is as before.
func TestAHaltIsLiftedInTheCluster(t *testing.T) {
	s, a, b, live := haltCluster()
	want := func(when string, inForce bool, halts int64, patched int) {
		t.Helper()
		if h := s.object.Status.Halt; (h != nil) != inForce || s.object.Status.Halts != halts || s.patched != patched {
			t.Errorf("%s: %+v, written %d times", when, s.object.Status, s.patched)
		}
	}
	a.tellHalt(t.Context(), live(1, 0))
	want("a halts", true, 1, 1)
	b.tellHalt(t.Context(), live(2, 0))
	b.tellHalt(t.Context(), live(0, 0))
	want("b, which has halted meanwhile and lifted that alone", false, 1, 2)
	s.object.Status.Halt = &v1alpha1.Halt{}
	b.tellHalt(t.Context(), live(0, 2))
	want("lifted in b by its number", false, 1, 3)
	a.tellHalt(t.Context(), live(1, 0))
	want("a has not heard of that", false, 1, 3)
	a.tellHalt(t.Context(), live(3, 0))
	want("a halts again", true, 2, 4)
	b.tellHalt(t.Context(), live(0, 2))
	want("b has lifted the first only", true, 2, 4)
	a.tellHalt(t.Context(), live(0, 2))
	want("lifted in a, before it has seen the halt's number", false, 2, 5)
	a.tellHalt(t.Context(), live(4, 3))
	want("a halts once more", true, 3, 6)
	s.object.Spec.Rearm = "other"
	a.tellHalt(t.Context(), live(0, 4))
	want("armed again by rearm", false, 3, 7)
	b.tellHalt(t.Context(), live(5, 0))
	want("b halts under that", true, 4, 8)
	late := live(6, 0)
	late.HaltedRearm = ""
	a.tellHalt(t.Context(), late)
	a.tellHalt(t.Context(), live(0, 0))
	want("a had halted too, before it heard of rearm", true, 4, 8)
	for _, c := range []struct {
		of   *chaosReporter
		want []toldHalt
	}{
		{a, []toldHalt{{at: time.Unix(1, 0), number: 1}, {at: time.Unix(3, 0), number: 2}, {at: time.Unix(4, 0), number: 3}}},
		{b, []toldHalt{{at: time.Unix(2, 0), number: 1}, {at: time.Unix(5, 0), number: 4}}}, // the first was a's by then
	} {
		if got := c.of.chaos.(*dataPlane).told; !reflect.DeepEqual(got, c.want) {
			t.Errorf("the data plane has been told of %+v, want %+v", got, c.want)
		}
	}
}

// dataPlane is what a data plane says of experiments, and what it has been told.
type dataPlane struct {
	status, retired []proxy.ExperimentStatus
	told            []toldHalt
}

func (d *dataPlane) Status() []proxy.ExperimentStatus  { return d.status }
func (d *dataPlane) Retired() []proxy.ExperimentStatus { return d.retired }
func (d *dataPlane) ToldHalt(_ string, at time.Time, number uint64) {
	d.told = append(d.told, toldHalt{at: at, number: int64(number)})
}

// While the build and the data plane are not at the same point, or the kill switch has not been read, nothing is said that was not said
// before; if that lasts it is said.
func TestNothingIsSaidInBetween(t *testing.T) {
	type built = map[types.NamespacedName]*status.NetworkChaos
	key := types.NamespacedName{Namespace: "shop", Name: "x"}
	accepted := func(change func(*status.NetworkChaos)) built {
		n := &status.NetworkChaos{UID: "u", Generation: 1, Conditions: []metav1.Condition{
			status.Condition(v1alpha1.ConditionAccepted, true, v1alpha1.ReasonAccepted, "", 1),
		}}
		change(n)
		return built{key: n}
	}
	same := func(*status.NetworkChaos) {}
	unread := func(n *status.NetworkChaos) { n.Unread, n.Off = true, "the switch, which is unread" }
	live := func(phase proxy.ExperimentPhase) []proxy.ExperimentStatus {
		return []proxy.ExperimentStatus{{ID: proxy.ObjectID{Namespace: "shop", Name: "x"}, UID: "u", Revision: 1, Phase: phase}}
	}
	for name, c := range map[string]struct {
		before bool // something has been said
		built  built
		live   []proxy.ExperimentStatus
		want   string // the reason of Active at once; empty: nothing is said
		later  string // if it stays so
	}{
		"it is as it should be":             {false, accepted(same), live(proxy.ExperimentActive), v1alpha1.ReasonInjecting, v1alpha1.ReasonInjecting},
		"begun, nobody has the switch":      {false, accepted(unread), live(proxy.ExperimentOff), "", v1alpha1.ReasonSwitchedOff},
		"begun, the data plane has not":     {false, accepted(same), nil, "", v1alpha1.ReasonWaiting},
		"the data plane has refused it yet": {true, accepted(same), live(proxy.ExperimentRefused), v1alpha1.ReasonInjecting, v1alpha1.ReasonWaiting},
		"the data plane has it no more":     {true, accepted(same), nil, v1alpha1.ReasonInjecting, v1alpha1.ReasonWaiting},
		"it has been edited": {
			true, accepted(func(n *status.NetworkChaos) { n.Generation, n.DryRun = 2, true }), live(proxy.ExperimentActive),
			v1alpha1.ReasonInjecting, v1alpha1.ReasonDryRun,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var said built
			plane := &dataPlane{}
			s := &oneChaos{}
			r := &chaosReporter{
				chaos: plane, reader: s, writer: s, log: slog.New(slog.DiscardHandler), halts: map[string]toldHalt{},
				report: func(all built) { said = all },
				deleted: func(types.NamespacedName, *status.NetworkChaos) {
					t.Error("deleted")
				},
			}
			now := time.Unix(0, 0)
			if c.before {
				r.built, plane.status = accepted(same), live(proxy.ExperimentActive)
				r.look(t.Context(), now)
			}
			r.built, plane.status = c.built, c.live
			expect := func(want string) {
				t.Helper()
				r.look(t.Context(), now)
				got := ""
				if n := said[key]; n != nil {
					got = meta.FindStatusCondition(n.Conditions, v1alpha1.ConditionActive).Reason
				}
				if got != want {
					t.Errorf("after %v: %q, want %q", now.Sub(time.Unix(0, 0)), got, want)
				}
			}
			expect(c.want)
			now = now.Add(agreement - 1)
			expect(c.want)
			now = now.Add(1)
			expect(c.later)
		})
	}
}

// Of the experiments that share targets, only those that can still act are said to act in some order.
func TestWhatIsOverDoesNotOverlap(t *testing.T) {
	name := func(s string) types.NamespacedName { return types.NamespacedName{Namespace: "shop", Name: s} }
	const (
		all    = "Overlapping shares targets with other experiments; they act in this order: shop/a, shop/b, shop/c; a remark"
		others = "Overlapping shares targets with other experiments; they act in this order: shop/a, shop/c; a remark"
		alone  = "Accepted a remark"
	)
	for title, c := range map[string]struct {
		a, b proxy.ExperimentPhase
		want [3]string // of a, b, c
	}{
		"all act":                     {proxy.ExperimentActive, proxy.ExperimentActive, [3]string{all, all, all}},
		"one is halted, one is to be": {proxy.ExperimentHalted, proxy.ExperimentPending, [3]string{all, all, all}},
		"one is over":                 {proxy.ExperimentActive, proxy.ExperimentExpired, [3]string{others, alone, others}},
		"one cannot be used":          {proxy.ExperimentActive, proxy.ExperimentInvalid, [3]string{others, "Invalid it cannot be used", others}},
		"one is left":                 {proxy.ExperimentExpired, proxy.ExperimentExpired, [3]string{alone, alone, alone}},
	} {
		t.Run(title, func(t *testing.T) {
			plane, built := &dataPlane{}, map[types.NamespacedName]*status.NetworkChaos{}
			for i, phase := range []proxy.ExperimentPhase{c.a, c.b, proxy.ExperimentActive} {
				key := name(string(rune('a' + i)))
				n := &status.NetworkChaos{UID: types.UID(key.Name)}
				n.Accept([]types.NamespacedName{name("a"), name("b"), name("c")}, "a remark")
				built[key] = n
				plane.status = append(plane.status, proxy.ExperimentStatus{
					ID: proxy.ObjectID{Namespace: key.Namespace, Name: key.Name}, UID: key.Name, Phase: phase, Problem: "it cannot be used",
				})
			}
			said := map[types.NamespacedName]*status.NetworkChaos{}
			r := &chaosReporter{
				chaos: plane, log: slog.New(slog.DiscardHandler), built: built,
				report: func(all map[types.NamespacedName]*status.NetworkChaos) { said = all },
			}
			for range 2 { // what is built is no other afterwards
				r.look(t.Context(), time.Unix(0, 0))
			}
			for i, want := range c.want {
				key := name(string(rune('a' + i)))
				is := meta.FindStatusCondition(said[key].Conditions, v1alpha1.ConditionAccepted)
				if got := is.Reason + " " + is.Message; got != want {
					t.Errorf("%s: %q, want %q", key.Name, got, want)
				}
			}
		})
	}
}

// Of an object that is deleted, or replaced by another of its name, the last that is known is told, once.
func TestWhatIsDeletedIsTold(t *testing.T) {
	key := types.NamespacedName{Namespace: "shop", Name: "x"}
	for name, replaced := range map[string]bool{"deleted": false, "replaced": true} {
		t.Run(name, func(t *testing.T) {
			plane := &dataPlane{status: []proxy.ExperimentStatus{{UID: "u", Phase: proxy.ExperimentActive}}}
			accepted := func(uid types.UID) map[types.NamespacedName]*status.NetworkChaos {
				return map[types.NamespacedName]*status.NetworkChaos{key: {UID: uid, Conditions: []metav1.Condition{
					status.Condition(v1alpha1.ConditionAccepted, true, v1alpha1.ReasonAccepted, "", 0),
				}}}
			}
			var told []*status.NetworkChaos
			s := &oneChaos{}
			r := &chaosReporter{
				chaos: plane, reader: s, writer: s, log: slog.New(slog.DiscardHandler), halts: map[string]toldHalt{}, built: accepted("u"),
				report:  func(map[types.NamespacedName]*status.NetworkChaos) {},
				deleted: func(_ types.NamespacedName, n *status.NetworkChaos) { told = append(told, n) },
			}
			r.look(t.Context(), time.Unix(0, 0))
			plane.status, plane.retired = nil, []proxy.ExperimentStatus{{UID: "u", Matched: 7, Injected: 5}}
			if r.built = nil; replaced {
				r.built = accepted("v")
			}
			for range 2 {
				r.look(t.Context(), time.Unix(1, 0))
			}
			if len(told) != 1 || told[0].UID != "u" || told[0].Counts.Injected != 5 || !meta.IsStatusConditionTrue(told[0].Conditions, v1alpha1.ConditionActive) {
				t.Errorf("told %+v", told)
			}
		})
	}
}
