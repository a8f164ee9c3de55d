package fault

import (
	"fmt"
	"math"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// Delay makes the request wait before it goes on. At Backend every attempt waits, under the timeouts of the Route.
type Delay struct {
	// Latency in milliseconds, 0 to 3,600,000.
	Latency shape.Value
	// Jitter in milliseconds, 0 to 3,600,000: the Latency varies by up to so much to either side, every value being as likely. A
	// delay is never negative.
	Jitter shape.Value
}

var _ Fault = Delay{}

// maxDelay in milliseconds is an hour.
const maxDelay = 3_600_000

// Type returns "delay".
func (Delay) Type() string { return "delay" }

// Validate implements Fault.
func (f Delay) Validate() error {
	if err := within("latency", f.Latency, 0, maxDelay); err != nil {
		return err
	}
	return within("jitter", f.Jitter, 0, maxDelay)
}

// New implements Fault.
func (f Delay) New(s Site) Step {
	ms := f.Latency.At(s.Began)
	if jitter := f.Jitter.At(s.Began); jitter > 0 {
		ms += (2*s.Rand.Float64() - 1) * jitter
	}
	return Step{Delay: time.Duration(max(ms, 0) * float64(time.Millisecond))}
}

// within checks all that a number ever is, and its shape.
func within(attribute string, v shape.Value, least, most float64) error {
	for _, x := range [...]float64{v.Base, v.To} {
		if math.IsNaN(x) || x < least || x > most {
			return fmt.Errorf("%s: %v is not within %v and %v", attribute, x, least, most)
		}
		if v.Wave == shape.Constant {
			break
		}
	}
	switch {
	case v.Wave > shape.Square:
		return fmt.Errorf("%s: %d is no shape that there is", attribute, v.Wave)
	case v.Wave != shape.Constant && v.Period <= 0:
		return fmt.Errorf("%s: the shape needs a period above 0", attribute)
	}
	return nil
}
