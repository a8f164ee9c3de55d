package toxic

import (
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// direction returns one that runs.
func (r *relayed) direction(which proxy.Direction) *direction {
	r.link.detaching.mu.Lock()
	defer r.link.detaching.mu.Unlock()
	return r.link.directions[which]
}

// waitUntilNoneLooks waits until a Relay that is awake sleeps until something happens.
func (r *relayed) waitUntilNoneLooks(t testing.TB, which ...proxy.Direction) {
	t.Helper()
	eventually(t, "it does not look any more whether it could be parked", func() bool {
		for _, w := range which {
			if d := r.direction(w); d == nil || d.isLooking.Load() {
				return false
			}
		}
		return true
	})
}

// TestARelayThatCannotBeParkedSleeps: where a toxic acts on one direction the other one does not look time and again whether the Relay
// could be parked, which it cannot; and once the toxic is gone it is parked although nothing happens.
func TestARelayThatCannotBeParkedSleeps(t *testing.T) {
	r := newRelayed(t, Options{})
	for range 3 {
		r.waitUntilParked(t)
		r.slot.Set(act("slow", proxy.Upstreamward, Latency{Latency: fixed(30)}))
		r.waitUntilNoneLooks(t, proxy.Downstreamward)
		say(t, r.client, "hello")
		hear(t, r.endpoint, "hello")
		r.slot.Set()
	}
	r.waitUntilParked(t)
}

// TestARelayThatIsHalfClosedSleeps: it can never be parked.
func TestARelayThatIsHalfClosedSleeps(t *testing.T) {
	r := newRelayed(t, Options{})
	r.waitUntilParked(t)
	_ = r.client.CloseWrite()
	hear(t, r.endpoint, "")
	eventually(t, "the end has been noticed", func() bool { return r.link.ended.Load() == 1 })
	r.waitUntilNoneLooks(t, proxy.Downstreamward)
	say(t, r.endpoint, "bye")
	hear(t, r.client, "bye")
}
