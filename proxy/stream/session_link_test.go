package stream

import (
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// unknown is a Backend that does not exist any more.
type unknown struct{}

func (unknown) Endpoints(uint64) (Endpoints, bool) { return nil, false }
func (unknown) Metrics() *telemetry.Backend        { return new(telemetry.Backend) }

// linked is a session whose datagrams go through slot, and whose way is open.
func (b *sessionBed) linked(slot *toxic.Slot) *outlet {
	b.t.Helper()
	b.backend, b.p = unknown{}, &Packets{start: time.Now()}
	o := b.outlet()
	o.link = toxic.NewDatagramLink(slot, o.deliver, toxic.Options{})
	b.t.Cleanup(func() { o.link.Close() })
	b.open(o)
	return o
}

// Its client has as long for an answer to what toxics held up as to anything else.
func TestSessionIsNotSilentWhenWhatWasHeldIsDelivered(t *testing.T) {
	late := toxic.Entry{Name: "late", Direction: proxy.Upstreamward, Toxicity: 1, Toxic: toxic.Latency{Latency: shape.Const(3_600_000)}}
	b, slot := newSessionBed(t), toxic.NewSlot(toxic.Active{Entry: &late})
	o := b.linked(slot)
	if !b.fromClient([]byte("hello")) || !o.link.Busy() {
		t.Fatal("it is not held")
	}
	const longAgo = -int64(time.Hour)
	b.last.Store(longAgo)
	slot.Set()
	for end := time.Now().Add(time.Minute); b.up.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is not let go")
		}
	}
	if b.last.Load() == longAgo {
		t.Error("the session is as silent as before")
	}
}

// A datagram that comes when the last way has just been closed is one for another session.
func TestDatagramIsNotTakenByASessionThatHasEnded(t *testing.T) {
	b := newSessionBed(t)
	o := b.linked(toxic.NewSlot())
	b.markEnded()
	o.link.Close()
	if b.fromClient([]byte("hello")) {
		t.Error("it is taken")
	}
}

// One that comes when a way has just been closed for another waits for that.
func TestDatagramWaitsForTheNextWay(t *testing.T) {
	b := newSessionBed(t)
	o := b.linked(toxic.NewSlot())
	got := b.out.Load() // by who passes on what the client sends
	b.out.CompareAndSwap(o, nil)
	o.link.Close()
	if !b.pass(got, []byte("hello")) || len(b.pending) != 1 {
		t.Errorf("%q waits", b.pending)
	}
}
