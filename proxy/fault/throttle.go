package fault

import (
	"math"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// Throttle slows the response body down. It paces content in small portions, and what does not come in time is made up for as far
// as one portion goes, because waits and reads always end a little late, and no further. To slow the request body, or head and
// framing too, use the byte toxic bandwidth.
type Throttle struct {
	// Rate in bytes per second, 0 to 1,000,000,000,000. While it is below 1 nothing passes.
	Rate shape.Value
}

var _ Fault = Throttle{}

const (
	maxRate = 1e12
	// portion is how much time's worth of content passes at once.
	portion = 20 * time.Millisecond
	// stalled is how often a rate that lets nothing pass is looked at again.
	stalled = 20 * time.Millisecond
)

// Type returns "throttle".
func (Throttle) Type() string { return "throttle" }

// Validate implements Fault.
func (f Throttle) Validate() error { return within("rate", f.Rate, 0, maxRate) }

// New implements Fault.
func (f Throttle) New(s Site) Step {
	made := time.Now()
	return Step{Body: func(_ *proxy.Exchange, b proxy.Body) proxy.Body {
		return &throttled{Body: b, rate: f.Rate, made: made, began: s.Began, due: time.Since(made), pause: s.Pause}
	}}
}

type throttled struct {
	proxy.Body
	rate  shape.Value
	made  time.Time
	began time.Duration // the rate's age at made
	due   time.Duration // since made: when what has passed has taken its time
	pause func(time.Duration) *proxy.Error
}

func (t *throttled) Read(p []byte) (int, error) {
	rate := t.rateNow()
	for rate < 1 {
		if err := t.pause(stalled); err != nil {
			return 0, err
		}
		rate = t.rateNow()
	}
	atOnce := math.Ceil(rate * portion.Seconds())
	n, err := t.Body.Read(p[:int(min(atOnce, float64(len(p))))])
	now := time.Since(t.made)
	t.due = max(t.due, now-portion) + time.Duration(float64(n)/rate*float64(time.Second))
	if wait := t.due - now; wait > 0 {
		if err := t.pause(wait); err != nil {
			return n, err
		}
	}
	return n, err
}

func (t *throttled) rateNow() float64 { return t.rate.At(t.began + time.Since(t.made)) }
