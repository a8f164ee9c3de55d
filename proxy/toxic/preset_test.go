package toxic

import (
	"math"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/chance"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

func TestPresetsAreValid(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range Presets() {
		if seen[p.Name] || p.WhereItsFrom == "" || p.RTT <= 0 {
			t.Errorf("%+v", p)
		}
		seen[p.Name] = true
		names := map[string]bool{}
		for _, x := range p.Toxics() {
			if names[x.Name] || x.Toxicity != shape.Const(1) {
				t.Errorf("%s: %+v", p.Name, x)
			}
			names[x.Name] = true
			if err := x.Toxic.(interface{ Validate() error }).Validate(); err != nil {
				t.Errorf("%s: %s: %v", p.Name, x.Name, err)
			}
		}
		if found, ok := FindPreset(p.Name); !ok || found.Name != p.Name {
			t.Errorf("%s is not found", p.Name)
		}
	}
	if _, ok := FindPreset("5G"); ok {
		t.Error("a preset that is none")
	}
}

// preset runs both ends of a connection through a preset, losses excepted, in simulated time.
func preset(t *testing.T, p Preset, use func(client, endpoint net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p.Loss = Loss{}
		var active []Active
		for _, x := range p.Toxics() {
			active = append(active, Active{Entry: &Entry{
				Name: x.Name, Direction: x.Direction, Toxicity: 1, Toxic: x.Toxic, Key: chance.NewKey(1, x.Name), Began: time.Now(),
			}})
		}
		client, near := net.Pipe()
		far, endpoint := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			Link(near, far, NewSlot(active...), Options{})
		}()
		use(client, endpoint)
		client.Close()
		endpoint.Close()
		<-done
	})
}

func TestPresetsHaveTheirRoundTripAndRate(t *testing.T) {
	t.Parallel()
	for _, p := range Presets() {
		t.Run(p.Name, func(t *testing.T) {
			preset(t, p, func(client, endpoint net.Conn) {
				var trips []time.Duration
				b := make([]byte, 32<<10)
				for range 51 {
					began := time.Now()
					for _, way := range [][2]net.Conn{{client, endpoint}, {endpoint, client}} {
						go func() { _, _ = way[0].Write(b[:1]) }()
						if _, err := way[1].Read(b); err != nil {
							t.Fatal(err)
						}
					}
					trips = append(trips, time.Since(began))
				}
				slices.Sort(trips)
				if got := trips[25].Seconds() * 1000; math.Abs(got-p.RTT) > 0.1*p.RTT {
					t.Errorf("round trip %.1f ms, want %v", got, p.RTT)
				}
				for _, way := range []struct {
					from, to net.Conn
					rate     float64
				}{{endpoint, client, p.Down}, {client, endpoint, p.Up}} {
					if way.rate == 0 {
						continue
					}
					n := int(way.rate * 1000 / 8 * 10) // ten seconds
					began := time.Now()
					go func() {
						for left := n; left > 0; left -= min(left, 32<<10) {
							_, _ = way.from.Write(make([]byte, min(left, 32<<10)))
						}
					}()
					for left := n; left > 0; {
						got, err := way.to.Read(b)
						if err != nil {
							t.Fatal(err)
						}
						left -= got
					}
					rate := float64(n) * 8 / 1000 / (time.Since(began) - time.Duration(p.RTT/2*float64(time.Millisecond))).Seconds()
					if math.Abs(rate-way.rate) > 0.1*way.rate {
						t.Errorf("%.0f kbit/s, want %.0f", rate, way.rate)
					}
				}
			})
		})
	}
}
