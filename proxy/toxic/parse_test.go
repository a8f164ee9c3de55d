package toxic

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		typ, attributes string
		prev, want      proxy.Toxic
	}{
		{"latency", `{"latency": 100, "jitter": 10}`, nil, Latency{Latency: fixed(100), Jitter: fixed(10)}},
		{"latency", `{"jitter": 5}`, Latency{Latency: fixed(100), Jitter: fixed(10)}, Latency{Latency: fixed(100), Jitter: fixed(5)}},
		{"latency", `{"latency": null}`, Latency{Latency: fixed(100)}, Latency{Latency: fixed(100)}},
		{"latency", `{"Latency": 500, "JITTER": 10}`, nil, Latency{Latency: fixed(500), Jitter: fixed(10)}},
		{"latency", `{"latency": 1, "Latency": 500}`, nil, Latency{Latency: fixed(1)}},
		{"latency", `{"unknown": "x"}`, Bandwidth{Rate: fixed(1)}, Latency{}},
		{"latency", ``, nil, Latency{}},
		{"latency", `null`, nil, Latency{}},
		{"latency", `{"distribution": "normal", "correlation": 0.25}`, nil, Latency{Distribution: Distribution{Spread: Normal, Correlation: shape.Const(0.25)}}},
		{"latency", `{"latency": {"wave": "ramp", "from": 0, "to": 50, "period": 1500}}`, nil,
			Latency{Latency: shape.Value{Wave: shape.Ramp, To: 50, Period: 1500 * time.Millisecond}}},
		{"bandwidth", `{"rate": 100}`, nil, Bandwidth{Rate: fixed(100_000)}},
		{"bandwidth", `{"shared": true}`, Bandwidth{Rate: fixed(100_000)}, Bandwidth{Rate: fixed(100_000), Shared: true}},
		{"slow_close", `{"delay": 700}`, nil, SlowClose{Delay: fixed(700)}},
		{"timeout", `{"timeout": 500}`, nil, Timeout{Timeout: fixed(500)}},
		{"reset_peer", `{"timeout": 500}`, nil, ResetPeer{Timeout: fixed(500)}},
		{"slicer", `{"average_size": 64, "size_variation": 32, "delay": 10}`, nil, Slicer{AverageSize: fixed(64), SizeVariation: fixed(32), Delay: fixed(10)}},
		{"limit_data", `{"bytes": 12345}`, nil, LimitData{Bytes: fixed(12345)}},
		{"packet_loss", `{"loss_rate": 0.1, "rtt": 20}`, nil, PacketLoss{Loss: lossy(0.1), RTT: shape.Const(20)}},
		{"packet_loss", `{"loss_rate": 0.5}`, PacketLoss{Loss: lossy(0.1), RTT: shape.Const(20)}, PacketLoss{Loss: lossy(0.5), RTT: shape.Const(20)}},
		{"packet_loss", `{"loss_rate": 0.1, "loss": 0.2, "rtt": 20}`, nil, PacketLoss{Loss: lossy(0.2), RTT: shape.Const(20)}},
		{"udp_drop", `{"loss_rate": 0.1}`, nil, Drop{}},
		{"noop", `{"any": 1}`, nil, Noop{}},
		{"down", `{"reset": true}`, nil, Down{Reset: true}},
		{"stall", `{"duration": 100, "every_bytes": 5}`, nil, Stall{Duration: fixed(100), EveryBytes: fixed(5)}},
	} {
		got, err := Parse(c.typ, json.RawMessage(c.attributes), c.prev)
		if err != nil || got != c.want {
			t.Errorf("%s %s: %+v, %v", c.typ, c.attributes, got, err)
			continue
		}
		again, err := Parse(c.typ, marshal(t, Attributes(got)), nil)
		if err != nil || again != got {
			t.Errorf("%s: back from attributes %s: %+v, %v", c.typ, marshal(t, Attributes(got)), again, err)
		}
	}
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ typ, attributes, field string }{
		{"sauce", `{}`, "type"}, {"", `{}`, "type"}, {"latency", `[]`, "attributes"}, {"latency", `{`, "attributes"},
		{"latency", `{"latency": -1}`, "latency"}, {"latency", `{"latency": "100"}`, "latency"}, {"latency", `{"latency": 1e300}`, "latency"},
		{"latency", `{"jitter": -1}`, "jitter"}, {"latency", `{"correlation": 1.5}`, "correlation"},
		{"latency", `{"distribution": "odd"}`, "distribution"}, {"latency", `{"distribution": 3}`, "distribution"},
		{"latency", `{"latency": {"wave": "saw", "from": 1}}`, "latency"}, {"latency", `{"latency": {"wave": "ramp", "to": 1}}`, "latency"},
		{"latency", `{"latency": {"wave": "ramp", "to": -1, "period": 1}}`, "latency"}, {"latency", `{"latency": {"wave": 7}}`, "latency"},
		{"bandwidth", `{"rate": -1}`, "rate"}, {"bandwidth", `{"shared": 1}`, "shared"}, {"slow_close", `{"delay": -1}`, "delay"},
		{"timeout", `{"timeout": -1}`, "timeout"}, {"reset_peer", `{"timeout": true}`, "timeout"}, {"slicer", `{"average_size": -5}`, "average_size"},
		{"slicer", `{"size_variation": -5}`, "size_variation"}, {"slicer", `{"delay": -5}`, "delay"}, {"limit_data", `{"bytes": -1}`, "bytes"},
		{"down", `{"reset": "yes"}`, "reset"}, {"stall", `{"every": -1}`, "every"},
	} {
		got, err := Parse(c.typ, json.RawMessage(c.attributes), nil)
		if err == nil || !strings.HasPrefix(err.Error(), c.field+": ") {
			t.Errorf("%s %s: %+v, %v", c.typ, c.attributes, got, err)
		}
	}
}

// What is too much is said in the attribute's own unit, and as a number without an exponent.
func TestParseNamesTheLimit(t *testing.T) {
	for _, c := range []struct{ typ, attributes, want string }{
		{"latency", `{"latency": 31536000001}`, "latency: 31536000001 is more than 31536000000 ms"},
		{"latency", `{"jitter": {"wave":"ramp","to":4e10,"period":1}}`, `jitter: {"wave":"ramp","to":4e10,"period":1} is more than 31536000000 ms`},
		{"slicer", `{"delay": 31536000000001}`, "delay: 31536000000001 is more than 31536000000000 µs"},
		{"limit_data", `{"bytes": 9223372036854775807}`, "bytes: 9223372036854775807 is more than 9007199254740992 bytes"},
	} {
		if _, err := Parse(c.typ, json.RawMessage(c.attributes), nil); err == nil || err.Error() != c.want {
			t.Errorf("%s %s: %v, want %s", c.typ, c.attributes, err, c.want)
		}
	}
}

// A rate that stands for no limit is none.
func TestRateWithoutLimit(t *testing.T) {
	for _, rate := range []string{"1000000000", "2147483647", "9223372036854775807", "1e300", `{"wave": "ramp", "from": 2147483647, "to": 1e308, "period": 1}`} {
		for _, typ := range []string{"bandwidth", "udp_rate"} {
			got, err := Parse(typ, json.RawMessage(`{"rate": `+rate+`}`), nil)
			if err != nil {
				t.Errorf("%s: %s: %v", typ, rate, err)
				continue
			}
			if b, ok := got.(Bandwidth); ok && (b.Rate.Min() != maxRate || b.Rate.Max() != maxRate) {
				t.Errorf("%s becomes %+v", rate, b.Rate)
			}
		}
	}
}

func TestTypesAreDistinctComparableAndParse(t *testing.T) {
	seen := map[string]bool{}
	for _, toxic := range Types() {
		if seen[toxic.Type()] {
			t.Errorf("%s twice", toxic.Type())
		}
		seen[toxic.Type()] = true
		if !reflect.TypeOf(toxic).Comparable() {
			t.Errorf("%s is not comparable", toxic.Type())
		}
		if Find(toxic.Type()) != toxic {
			t.Errorf("%s is not found", toxic.Type())
		}
		_, isStream := toxic.(Stream)
		_, isDatagram := toxic.(Datagram)
		if !isStream && !isDatagram {
			t.Errorf("%s does nothing", toxic.Type())
		}
		Attributes(toxic)
	}
	for _, name := range []string{"latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data", "noop", "packet_loss", "down"} {
		if !seen[name] {
			t.Errorf("no %s", name)
		}
	}
	if Find("sauce") != nil {
		t.Error("found what is not there")
	}
}

// FuzzParse: nothing panics, what is accepted is valid, comes back from its attributes, and can be run.
func FuzzParse(f *testing.F) {
	f.Add("latency", `{"latency": 100, "jitter": {"wave":"sine","from":1,"to":2,"period":3}}`)
	f.Add("bandwidth", `{"rate": 0.001}`)
	f.Add("slicer", `{"average_size": 1e9, "delay": 0}`)
	f.Add("limit_data", `{"bytes": 9007199254740992}`)
	f.Add("packet_loss", `{"loss": 0.1, "rtt": 50}`)
	f.Add("stall", `{"duration": 1, "at": 0.5, "every": 1e-9}`)
	f.Fuzz(func(t *testing.T, typ, attributes string) {
		toxic, err := Parse(typ, json.RawMessage(attributes), nil)
		if err != nil {
			return
		}
		if v := toxic.(interface{ Validate() error }).Validate(); v != nil {
			t.Fatalf("accepted, but %v", v)
		}
		if _, err := Parse(typ, marshal(t, Attributes(toxic)), nil); err != nil {
			t.Fatalf("back from %s: %v", marshal(t, Attributes(toxic)), err)
		}
		if _, ok := toxic.(Stream); !ok {
			return
		}
		defer func(began time.Time) {
			if d := time.Since(began); d > 2*time.Second {
				t.Fatalf("%+v takes %v", toxic, d)
			}
		}(time.Now())
		c := chain{began: time.Now(), direction: proxy.Downstreamward}
		c.set([]decided{{Active: act("x", proxy.Downstreamward, toxic), applied: true}}, 0)
		for i := range 20 {
			c.advance(time.Duration(i) * 100 * time.Millisecond)
			b := newBlock(1)
			b.data = b.data[:1000]
			c.arrive(b)
			c.advance(c.now)
			for p := c.ready(); len(p) > 0; p = c.ready() {
				c.take(len(p))
			}
		}
		c.finish(FIN)
		c.set(nil, c.now)
		got := 0
		for p := c.ready(); len(p) > 0; p = c.ready() {
			got += len(p)
			c.take(len(p))
		}
		if c.memory != 0 || c.blocks.n != 0 {
			t.Fatalf("%d bytes of memory are left", c.memory)
		}
		c.close()
	})
}

// A toxic is given as Parse reads it, under one name only.
func TestAliasesAreNotGiven(t *testing.T) {
	if all := Attributes(PacketLoss{Loss: lossy(0.1), RTT: shape.Const(20)}); all["loss_rate"] != nil || all["loss"] != 0.1 {
		t.Errorf("%v", all)
	}
}
