// Package shape holds numbers that may change over time: constant, ramp, step, sine and square (brown-outs).
//
// Values are plain, comparable and immutable, and may be used by any number of goroutines. Time is what the caller says it is:
// how long ago the fault came into force.
package shape

import (
	"math"
	"time"
)

// Wave says how a Value moves between Base and To.
type Wave uint8

const (
	// Constant stays at Base.
	Constant Wave = iota
	// Ramp goes from Base to To within Period, in a straight line, and stays there.
	Ramp
	// Step is Base for Period, then To.
	Step
	// Sine swings from Base to To and back once per Period, beginning at Base.
	Sine
	// Square is Base for the first half of each Period and To for the second.
	Square
)

// Value is a number over time. The zero Value is 0 for ever. Its unit is that of the parameter it stands for.
type Value struct {
	Base, To float64
	Wave     Wave
	Period   time.Duration // positive unless Wave is Constant
}

// Const returns a Value that stays at x.
func Const(x float64) Value { return Value{Base: x} }

// At returns the number at a time since the beginning. Times before it count as the beginning.
func (v Value) At(t time.Duration) float64 {
	if v.Wave == Constant || v.Period <= 0 {
		return v.Base
	}
	at := float64(max(t, 0)) / float64(v.Period)
	switch v.Wave {
	case Ramp:
		return v.Base + (v.To-v.Base)*min(at, 1)
	case Step:
		if at < 1 {
			return v.Base
		}
		return v.To
	case Sine:
		return v.Base + (v.To-v.Base)*(1-math.Cos(2*math.Pi*at))/2
	default: // Square
		if at-math.Floor(at) < 0.5 {
			return v.Base
		}
		return v.To
	}
}

// Whole returns the number at a time since the beginning, rounded to the nearest whole one.
func (v Value) Whole(t time.Duration) int64 {
	const most = 1 << 62 // far from where a float64 does not fit
	return int64(min(max(math.Round(v.At(t)), -most), most))
}

// Changes reports whether the Value is not the same number for ever.
func (v Value) Changes() bool { return v.Wave != Constant }

// Max returns the greatest number the Value ever takes.
func (v Value) Max() float64 {
	if v.Wave == Constant {
		return v.Base
	}
	return max(v.Base, v.To)
}

// Min returns the least number the Value ever takes.
func (v Value) Min() float64 {
	if v.Wave == Constant {
		return v.Base
	}
	return min(v.Base, v.To)
}
