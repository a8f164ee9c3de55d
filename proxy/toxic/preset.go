package toxic

import (
	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// Preset is a well-known bad network. Its latency is half of RTT in each direction; everything else acts in both.
type Preset struct {
	Name         string
	RTT, Jitter  float64 // milliseconds; the jitter is that of each direction
	Down, Up     float64 // kbit/s (1000 bit) to the client and from it; 0 is unlimited
	Loss         Loss    // of packets
	WhereItsFrom string
}

const comcast = `the profiles of "Comcast", github.com/tylertreat/comcast`

// Presets returns the list of presets.
func Presets() []Preset {
	return []Preset{
		{Name: "GPRS", RTT: 500, Down: 50, Up: 50, Loss: independent(0.02), WhereItsFrom: comcast},
		{Name: "EDGE", RTT: 300, Down: 250, Up: 250, Loss: independent(0.015), WhereItsFrom: comcast},
		{Name: "3G", RTT: 250, Down: 750, Up: 750, Loss: independent(0.015), WhereItsFrom: comcast},
		{
			Name: "Slow4G", RTT: 150, Down: 1.6 * 1024, Up: 750,
			WhereItsFrom: "mobileSlow4G of Lighthouse, core/config/constants.js",
		},
		{Name: "DSL", RTT: 40, Down: 8000, Up: 8000, Loss: independent(0.005), WhereItsFrom: comcast},
		{Name: "WiFi", RTT: 40, Down: 30000, Up: 30000, Loss: independent(0.002), WhereItsFrom: comcast},
		{
			Name: "FlakyWiFi", RTT: 40, Jitter: 20, Down: 30000, Up: 30000, Loss: Loss{Rate: shape.Const(0.05), Burst: shape.Const(5)},
			WhereItsFrom: "WiFi, with jitter and losses in bursts of our own choice: no published figures",
		},
		{
			Name: "LEOSatellite", RTT: 20, Loss: independent(0.025),
			WhereItsFrom: "Starlink in " + comcast,
		},
		{
			Name: "GEOSatellite", RTT: 558, Loss: independent(0.002),
			WhereItsFrom: "the round trip of RFC 2488 section 2; the loss of Satellite in " + comcast,
		},
		{
			Name: "CrossRegion", RTT: 72,
			WhereItsFrom: `the longest round trip between regions of North America in Microsoft's "Azure network round-trip latency ` +
				`statistics" of October 2019`,
		},
	}
}

func independent(rate float64) Loss { return Loss{Rate: shape.Const(rate)} }

// FindPreset returns the preset of a name.
func FindPreset(name string) (Preset, bool) {
	for _, p := range Presets() {
		if p.Name == name {
			return p, true
		}
	}
	return Preset{}, false
}

// Toxics returns the toxics of the preset for both directions, named TYPE_DIRECTION. Some act on streams only and some on
// datagrams only, so that both get the same network.
func (p Preset) Toxics() []proxy.ExperimentToxic {
	var all []proxy.ExperimentToxic
	for _, d := range []proxy.Direction{proxy.Upstreamward, proxy.Downstreamward} {
		toxics := []proxy.Toxic{Latency{Latency: shape.Const(p.RTT / 2), Jitter: shape.Const(p.Jitter)}}
		if !p.Loss.none() {
			toxics = append(toxics, PacketLoss{Loss: p.Loss, RTT: shape.Const(p.RTT)}, Drop{Loss: p.Loss})
		}
		rate := p.Down
		if d == proxy.Upstreamward {
			rate = p.Up
		}
		if rate > 0 {
			bytes := shape.Const(rate * 1000 / 8)
			toxics = append(toxics, Bandwidth{Rate: bytes}, Rate{Rate: bytes})
		}
		for _, t := range toxics {
			all = append(all, proxy.ExperimentToxic{Name: t.Type() + "_" + d.String(), Direction: d, Toxicity: shape.Const(1), Toxic: t})
		}
	}
	return all
}
