package shape

import (
	"math"
	"testing"
	"time"
)

func TestAt(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name string
		v    Value
		at   time.Duration
		want float64
	}{
		{"zero", Value{}, 5 * s, 0},
		{"constant", Const(7), 5 * s, 7},
		{"before the beginning", Value{1, 3, Ramp, 10 * s}, -s, 1},
		{"ramp", Value{1, 3, Ramp, 10 * s}, 5 * s, 2},
		{"ramp has ended", Value{1, 3, Ramp, 10 * s}, 50 * s, 3},
		{"ramp down", Value{3, 1, Ramp, 10 * s}, 5 * s, 2},
		{"step, before", Value{1, 3, Step, 10 * s}, 10*s - 1, 1},
		{"step, after", Value{1, 3, Step, 10 * s}, 10 * s, 3},
		{"sine begins", Value{1, 3, Sine, 10 * s}, 0, 1},
		{"sine, a quarter", Value{1, 3, Sine, 10 * s}, 2500 * time.Millisecond, 2},
		{"sine, half", Value{1, 3, Sine, 10 * s}, 5 * s, 3},
		{"sine, again", Value{1, 3, Sine, 10 * s}, 20 * s, 1},
		{"square begins", Value{1, 3, Square, 10 * s}, 0, 1},
		{"square, second half", Value{1, 3, Square, 10 * s}, 5 * s, 3},
		{"square, again", Value{1, 3, Square, 10 * s}, 10 * s, 1},
		{"without a period", Value{1, 3, Sine, 0}, 5 * s, 1},
		{"negative period", Value{1, 3, Square, -s}, 5 * s, 1},
	} {
		if got := c.v.At(c.at); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v, not %v", c.name, got, c.want)
		}
	}
}

// FuzzAt: a Value never leaves its bounds.
func FuzzAt(f *testing.F) {
	f.Add(1.0, 3.0, uint8(3), int64(1e9), int64(5e8))
	f.Add(-1.0, 0.0, uint8(4), int64(1), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, base, to float64, wave uint8, period, at int64) {
		if math.Abs(base) > 1e15 || math.Abs(to) > 1e15 || math.IsNaN(base) || math.IsNaN(to) {
			return
		}
		v := Value{base, to, Wave(wave % 5), time.Duration(period)}
		got, slack := v.At(time.Duration(at)), 1e-9*(math.Abs(base)+math.Abs(to))
		if !(got >= v.Min()-slack && got <= v.Max()+slack) {
			t.Errorf("%+v at %v: %v is not within %v and %v", v, time.Duration(at), got, v.Min(), v.Max())
		}
	})
}
