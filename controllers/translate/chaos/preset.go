package chaos

import (
	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// network is a bad network: what it adds to the round trip, what it lets through and what it loses.
type network struct {
	name   v1alpha1.Preset
	rtt    float64 // milliseconds added to the round trip, half in each direction
	jitter float64 // milliseconds, in each direction
	down   float64 // kbit/s to the client; 0 is no limit
	up     float64 // kbit/s from the client; 0 is no limit
	loss   float64 // share of packets, in each direction
	burst  float64 // mean number of packets for which losses come together; 0: each by itself
}

// networks are the presets.
//
// Sources: comcast is github.com/tylertreat/comcast, README, "Network condition profiles". Lighthouse is
// github.com/GoogleChrome/lighthouse, docs/throttling.md, "slow 4G". RFC 2488 section 2: 279.0 ms from ground station to ground
// station over a geostationary satellite, at least 558 ms for the round trip.
func networks() []network {
	return []network{
		{v1alpha1.PresetGPRS, 500, 0, 50, 50, 0.02, 0},            // comcast
		{v1alpha1.PresetEDGE, 300, 0, 250, 250, 0.015, 0},         // comcast
		{v1alpha1.Preset3G, 250, 0, 750, 750, 0.015, 0},           // comcast
		{v1alpha1.PresetDSL, 40, 0, 8000, 8000, 0.005, 0},         // comcast
		{v1alpha1.PresetWiFi, 40, 0, 30000, 30000, 0.002, 0},      // comcast
		{v1alpha1.PresetLEOSatellite, 20, 0, 0, 0, 0.025, 0},      // comcast, "Starlink"
		{v1alpha1.PresetSlow4G, 150, 0, 1638.4, 750, 0, 0},        // Lighthouse: 1.6 * 1024 kbit/s down, 750 kbit/s up
		{v1alpha1.PresetGEOSatellite, 558, 0, 25000, 3000, 0, 0},  // RFC 2488; 25/3 Mbit/s is the FCC's benchmark of 2015 (FCC 15-10)
		{v1alpha1.PresetFlakyWiFi, 40, 15, 30000, 30000, 0.03, 8}, // WiFi, with losses in bursts; jitter, loss and burst are ours
		{v1alpha1.PresetCrossRegion, 70, 1, 0, 0, 0, 0},           // Virginia to Ireland and back, as cloud providers publish it; jitter is ours
	}
}

// presetToxics returns the toxics that a preset stands for, nil if there is no such preset: in each direction losses, the rate and
// the delay, in the order in which a path has them.
func presetToxics(name v1alpha1.Preset, datagrams bool) []proxy.ExperimentToxic {
	for _, n := range networks() {
		if n.name != name {
			continue
		}
		return append(n.direction(proxy.Downstreamward, n.down, datagrams), n.direction(proxy.Upstreamward, n.up, datagrams)...)
	}
	return nil
}

func (n *network) direction(d proxy.Direction, kbit float64, datagrams bool) (all []proxy.ExperimentToxic) {
	add := func(t proxy.Toxic) {
		all = append(all, proxy.ExperimentToxic{Name: t.Type() + "_" + d.String(), Direction: d, Toxicity: 1, Toxic: t})
	}
	loss := toxic.Loss{Rate: shape.Const(n.loss), Burst: n.burst}
	delay, jitter := shape.Const(n.rtt/2), shape.Const(n.jitter)
	if datagrams {
		if n.loss > 0 {
			add(toxic.Drop{Loss: loss})
		}
		if kbit > 0 {
			add(toxic.Rate{Rate: shape.Const(kbit / 8)})
		}
		add(toxic.Delay{Latency: delay, Jitter: jitter, InOrder: true})
		return all
	}
	if n.loss > 0 {
		add(toxic.PacketLoss{Loss: loss, RTT: n.rtt, Congestion: toxic.Cubic})
	}
	if kbit > 0 {
		add(toxic.Bandwidth{Rate: shape.Const(kbit * 1000 / 8)})
	}
	add(toxic.Latency{Latency: delay, Jitter: jitter})
	return all
}
