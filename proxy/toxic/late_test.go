package toxic

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

func TestLate(t *testing.T) {
	ramp := shape.Value{Base: 0, To: 1000, Period: time.Second, Wave: shape.Ramp}
	for name, c := range map[string]struct {
		toxic    proxy.Toxic
		toxicity float64
		want     time.Duration
	}{
		"latency":               {Latency{Latency: shape.Const(250)}, 1, 250 * time.Millisecond},
		"since it began":        {Latency{Latency: ramp}, 1, 500 * time.Millisecond},
		"decided against":       {Latency{Latency: shape.Const(250)}, 0, 0},
		"bandwidth":             {Bandwidth{Rate: shape.Const(1000)}, 1, 100 * time.Millisecond},
		"withheld":              {Timeout{Timeout: shape.Const(10)}, 1, 0},
		"not all passes":        {LimitData{Bytes: shape.Const(50)}, 1, 0},
		"nothing to do with it": {SlowClose{Delay: shape.Const(50)}, 1, 0},
		"datagrams":             {Drop{}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				time.Sleep(500 * time.Millisecond)
				a := Active{Entry: &Entry{Name: "a", Direction: proxy.Upstreamward, Toxicity: c.toxicity, Toxic: c.toxic, Began: began}}
				if got := a.Late(100); got != c.want {
					t.Errorf("%v, want %v", got, c.want)
				}
			})
		})
	}
}
