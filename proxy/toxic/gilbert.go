package toxic

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// Loss says which packets are lost: each by itself (Bernoulli, with Burst at most 1), or in bursts, by a chain of two states
// (E. N. Gilbert, "Capacity of a burst-noise channel", 1960; E. O. Elliott, 1963), good and bad, which takes one step at each
// packet.
type Loss struct {
	// Rate is the share of packets that is lost in the long run, 0 to 1.
	Rate shape.Value
	// Burst is the mean number of packets in a row for which the bad state lasts, at least 1; 0 and 1 make losses independent
	// of each other.
	Burst shape.Value
	// InBad is the share of packets lost in the bad state, above 0 to 1 and at least Rate; 0 for ever stands for 1. With a Burst only.
	InBad shape.Value
	// InGood is the share lost in the good state, 0 to Rate. With a Burst only.
	InGood shape.Value
}

// Validate names the attribute that is out of range. What changes over time must be in range whichever numbers come together.
func (l Loss) Validate() error {
	if err := within("loss", l.Rate, 0, 1); err != nil {
		return err
	}
	if err := withinOr0("burst", l.Burst, 1, 1e6); err != nil {
		return err
	}
	if l.Burst.Max() <= 1 && (l.InBad != shape.Value{} || l.InGood != shape.Value{}) {
		return errors.New("burst: loss_bad and loss_good need a burst above 1")
	}
	if err := within("loss_bad", l.InBad, 0, 1); err != nil {
		return err
	}
	if l.InBad.Changes() && l.InBad.Min() == 0 {
		return errors.New("loss_bad: 0 is not above 0")
	}
	if err := within("loss_good", l.InGood, 0, 1); err != nil {
		return err
	}
	if l.Burst.Max() <= 1 || l.none() {
		return nil
	}
	bad := l.bad()
	switch {
	case l.Rate.Max() > bad.Min() || l.Rate.Min() < l.InGood.Max() || l.InGood.Max() >= bad.Min():
		return fmt.Errorf("loss: %v to %v is not within loss_good %v and loss_bad %v", l.Rate.Min(), l.Rate.Max(), l.InGood.Max(), bad.Min())
	case l.Rate.Max() < bad.Max() && l.Rate.Max() > l.most():
		return fmt.Errorf("burst: bursts of %v packets, with one packet between two at least, cannot make a loss of more than %.3g",
			l.Burst.Min(), l.most())
	}
	return nil
}

// most is the largest loss below that of the bad state for ever: the good state lasts for a packet at least.
func (l Loss) most() float64 {
	share := l.Burst.Min() / (l.Burst.Min() + 1)
	return l.InGood.Min() + share*(l.bad().Min()-l.InGood.Min())
}

func (l *Loss) fields() []Field {
	return []Field{
		{"loss", &l.Rate, unitless}, {"burst", option{&l.Burst}, unitless},
		{"loss_bad", option{&l.InBad}, unitless}, {"loss_good", option{&l.InGood}, unitless},
	}
}

// none tells whether nothing is ever lost.
func (l Loss) none() bool { return l.Rate.Max() == 0 }

func (l Loss) bad() shape.Value {
	if l.InBad == (shape.Value{}) {
		return shape.Const(1)
	}
	return l.InBad
}

// lossProcess decides for one packet after another. It is a value: a copy decides as the original would.
type lossProcess struct {
	loss    Loss
	rand    rand.PCG
	isBegun bool
	isBad   bool
}

func newLossProcess(l Loss, r *rand.Rand) lossProcess {
	return lossProcess{loss: l, rand: *rand.NewPCG(r.Uint64(), r.Uint64())}
}

// next decides about the next packet, at a time since the toxic came into force.
func (p *lossProcess) next(at time.Duration) bool {
	if p.loss.none() {
		return false
	}
	burst, rate := p.loss.Burst.At(at), p.loss.Rate.At(at)
	if burst <= 1 {
		return p.float() < rate
	}
	inBad, inGood := p.loss.bad().At(at), p.loss.InGood.At(at)
	// The chain steps first, then the packet is decided. r and g are the chances of leaving the bad and the good state; the
	// stationary share of bad is g/(g+r).
	r, bad := 1/burst, share(rate, inBad, inGood)
	if !p.isBegun {
		p.isBegun, p.isBad = true, p.float() < bad // the path has been there for long
	}
	switch {
	case bad >= 1:
		p.isBad = true
	case p.isBad:
		p.isBad = p.float() >= r
	default:
		p.isBad = p.float() < min(1, r*bad/(1-bad))
	}
	if p.isBad {
		return p.float() < inBad
	}
	return p.float() < inGood
}

// share is that of packets in the bad state which makes the loss a rate.
func share(rate, inBad, inGood float64) float64 { return (rate - inGood) / (inBad - inGood) }

func (p *lossProcess) float() float64 { return float64(p.rand.Uint64()>>11) / (1 << 53) }

// withinOr0 is within for what may be 0 for ever, which stands for a default.
func withinOr0(name string, v shape.Value, least, most float64) error {
	if v == (shape.Value{}) {
		return nil
	}
	return within(name, v, least, most)
}

// within reports a Value that leaves least and most, by the attribute's name.
func within(name string, v shape.Value, least, most float64) error {
	for _, x := range [...]float64{v.Min(), v.Max()} {
		if !(x >= least && x <= most) {
			if math.IsInf(most, 1) {
				return fmt.Errorf("%s: %v is less than %v", name, x, least)
			}
			return fmt.Errorf("%s: %v is not within %v and %v", name, x, least, most)
		}
	}
	if v.Wave > shape.Square || v.Wave != shape.Constant && v.Period <= 0 {
		return fmt.Errorf("%s: the shape needs a period above 0", name)
	}
	return nil
}
