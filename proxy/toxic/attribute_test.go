package toxic

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

func TestAttributesOfLossAndDatagrams(t *testing.T) {
	for _, c := range []struct {
		typ, attributes string
		want            proxy.Toxic
	}{
		{
			"packet_loss", `{"loss":0.02,"burst":3,"loss_bad":0.5,"loss_good":0.01,"rtt":80,"mss":500,"rto_min":40,"congestion":"reno"}`,
			PacketLoss{
				Loss: Loss{Rate: shape.Const(0.02), Burst: shape.Const(3), InBad: shape.Const(0.5), InGood: shape.Const(0.01)}, RTT: shape.Const(80), MSS: shape.Const(500), RTOMin: shape.Const(40), Congestion: Reno,
			},
		},
		{"packet_loss", `{"loss":0.02,"rtt":80,"steady":true}`, PacketLoss{Loss: lossy(0.02), RTT: shape.Const(80), Steady: true}},
		{"corrupt", `{"rate":0.001}`, Corrupt{shape.Const(0.001)}},
		{"udp_drop", `{"loss":0.5}`, Drop{lossy(0.5)}},
		{"udp_duplicate", `{"rate":0.5,"copies":2,"delay":10}`, Duplicate{shape.Const(0.5), shape.Const(2), shape.Const(10)}},
		{"udp_reorder", `{"rate":0.5,"packets":2,"delay":10}`, Reorder{shape.Const(0.5), shape.Const(2), shape.Const(10)}},
		{
			"udp_delay", `{"latency":50,"jitter":10,"correlation":0.5,"distribution":"normal","in_order":true}`,
			Delay{shape.Const(50), shape.Const(10), Distribution{Spread: Normal, Correlation: shape.Const(0.5)}, true},
		},
		{"udp_rate", `{"rate":100,"queue":3000}`, Rate{shape.Const(100e3), shape.Const(3000)}},
		{"udp_truncate", `{"bytes":100}`, Truncate{shape.Const(100)}},
	} {
		got, err := Parse(c.typ, json.RawMessage(c.attributes), nil)
		if err != nil || got != c.want {
			t.Errorf("%s %s: %+v %v", c.typ, c.attributes, got, err)
			continue
		}
		again, err := json.Marshal(Attributes(got))
		if err != nil {
			t.Fatal(err)
		}
		if same, err := Parse(c.typ, again, nil); err != nil || same != c.want {
			t.Errorf("%s %s: %+v %v", c.typ, again, same, err)
		}
	}
	for typ, want := range map[string]string{"packet_loss": "rtt: it is required: above 0, up to 60000 ms", "udp_reorder": "packets: "} {
		if _, err := Parse(typ, nil, nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s without attributes: %v", typ, err)
		}
	}
}
