package toxic

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chance"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// in returns an Active of a toxic in a direction, in force from now on.
func in(d proxy.Direction, x proxy.Toxic) Active {
	name := x.Type() + "_" + d.String()
	return Active{Entry: &Entry{
		Name: name, Direction: d, Toxicity: 1, Toxic: x, Key: chance.NewKey(1, name), Began: time.Now(),
	}}
}

// What is lost on the way arrives all the same, also when the toxic is changed and taken out in between.
func TestLossThroughTheEngineLosesNothing(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]PacketLoss{
		"cubic":              {Loss: lossy(0.1), RTT: shape.Const(20)},
		"bursts":             {Loss: Loss{Rate: shape.Const(0.1), Burst: shape.Const(4)}, RTT: shape.Const(20), Congestion: Reno},
		"none":               {Loss: lossy(0.3), RTT: shape.Const(5), Congestion: NoCongestion, MSS: shape.Const(500)},
		"steady":             {Loss: lossy(0.1), RTT: shape.Const(20), Steady: true},
		"for ever, then not": {Loss: lossy(1), RTT: shape.Const(20)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, near := net.Pipe()
				far, endpoint := net.Pipe()
				slot := NewSlot(in(proxy.Upstreamward, p), in(proxy.Downstreamward, p))
				var w sync.WaitGroup
				w.Go(func() { Link(near, far, slot, Options{}) })
				w.Go(func() { // the server echoes until the client ends
					_, _ = io.Copy(endpoint, endpoint)
					endpoint.Close()
				})
				sent := make([]byte, 1<<20)
				_, _ = rand.NewChaCha8([32]byte{2}).Read(sent)
				w.Go(func() {
					for piece := range slices.Chunk(sent, 10_000) {
						_, _ = client.Write(piece)
						time.Sleep(time.Millisecond)
					}
				})
				w.Go(func() {
					time.Sleep(5 * time.Second)
					p.Loss.Rate = shape.Const(0.02)
					slot.Set(in(proxy.Upstreamward, p), in(proxy.Downstreamward, p))
					time.Sleep(2 * time.Second)
					slot.Set()
				})
				got := make([]byte, len(sent))
				if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, sent) {
					t.Errorf("%v, the same bytes: %v", err, bytes.Equal(got, sent))
				}
				client.Close()
				w.Wait()
			})
		})
	}
}

// A datagram that waits for others to pass is let go by time when none comes.
func TestReorderThroughTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var order []byte
		var last time.Duration
		first := shape.Value{Base: 1, Wave: shape.Step, Period: time.Millisecond} // only the first is held back
		slot := NewSlot(in(proxy.Upstreamward, Reorder{Rate: first, Packets: shape.Const(2), Delay: shape.Const(300)}))
		l := NewDatagramLink(slot, func(_ proxy.Direction, p []byte) {
			order, last = append(order, p[0]), time.Since(began)
		}, Options{})
		l.Pass(proxy.Upstreamward, []byte{0})
		time.Sleep(10 * time.Millisecond)
		for i := byte(1); i <= 3; i++ {
			l.Pass(proxy.Upstreamward, []byte{i})
		}
		if !bytes.Equal(order, []byte{1, 2, 0, 3}) {
			t.Errorf("order %v", order)
		}
		slot.Set(in(proxy.Upstreamward, Reorder{Rate: shape.Const(1), Packets: shape.Const(2), Delay: shape.Const(300)}))
		time.Sleep(time.Millisecond)
		synctest.Wait()
		began = time.Now()
		l.Pass(proxy.Upstreamward, []byte{4})
		time.Sleep(time.Second)
		synctest.Wait()
		if !bytes.Equal(order, []byte{1, 2, 0, 3, 4}) || last != 300*time.Millisecond {
			t.Errorf("order %v, the last after %v", order, last)
		}
		l.Close()
	})
}
