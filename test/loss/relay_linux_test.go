package loss

import (
	"net"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chance"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// relay is a proxy to address that delays each direction and lets loss act on what moves to the client.
func relay(address string, delay time.Duration, loss toxic.PacketLoss) (net.Listener, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	latency := toxic.Latency{Latency: shape.Const(float64(delay) / 1e6)}
	entries := []*toxic.Entry{
		entry("latency_upstream", proxy.Upstreamward, latency),
		entry("latency_downstream", proxy.Downstreamward, latency),
		entry("packet_loss_downstream", proxy.Downstreamward, loss),
	}
	var ordinal atomic.Uint64
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp4", address)
			if err != nil {
				client.Close()
				continue
			}
			n := ordinal.Add(1)
			var active []toxic.Active
			for _, e := range entries {
				active = append(active, toxic.Active{Entry: e, Ordinal: n})
			}
			go toxic.Link(client, server, toxic.NewSlot(active...), toxic.Options{})
		}
	}()
	return l, nil
}

func entry(name string, d proxy.Direction, t proxy.Toxic) *toxic.Entry {
	return &toxic.Entry{
		Name: name, Direction: d, Toxicity: 1, Toxic: t, Key: chance.NewKey(7, name), Began: time.Now(),
	}
}
