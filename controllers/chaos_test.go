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

// Every halt is told once, also one under a value of rearm that has been used before.
func TestEveryHaltIsToldOnce(t *testing.T) {
	s := &oneChaos{}
	s.object.UID, s.object.Namespace, s.object.Name = "u", "shop", "x"
	c := &chaosReporter{reader: s, writer: s, log: slog.New(slog.DiscardHandler), halted: map[string]time.Time{}}
	for i, rearm := range []string{"", "again", "", "again"} {
		s.object.Spec.Rearm, s.object.Status.Halt = rearm, nil
		live := proxy.ExperimentStatus{
			ID: proxy.ObjectID{Kind: "NetworkChaos", Namespace: "shop", Name: "x"}, UID: "u",
			HaltedAt: time.Unix(int64(i), 0), HaltedReason: "bad", HaltedRearm: rearm,
		}
		for range 3 {
			c.tellHalt(t.Context(), &live)
		}
		if h := s.object.Status.Halt; s.patched != i+1 || h == nil || h.Rearm != rearm || h.Message != "bad" {
			t.Errorf("halt %d (rearm %q): %+v, written %d times", i+1, rearm, h, s.patched)
		}
		s.object.Status.Halt = nil // whoever takes it back has a reason
		if c.tellHalt(t.Context(), &live); s.patched != i+1 {
			t.Error("told again")
		}
	}
}
