package controllers

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
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
		return &chaosReporter{reader: s, writer: s, log: slog.New(slog.DiscardHandler), halts: map[string]toldHalt{}}
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
}
