package toxic

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// Spread says how random amounts lie around their mean. The zero value is even.
type Spread uint8

const (
	// Uniform: evenly within mean ± jitter. Toxiproxy's, and the default.
	Uniform Spread = iota
	// Normal: Gaussian, jitter being the standard deviation.
	Normal
	// Pareto: a long tail to the right (shape 3, as of netem's table), moved and scaled so that jitter is the standard deviation
	// around the mean. It never falls below mean - 0.58 jitter.
	Pareto
	// Empirical: as measured. Distribution.Table gives the amounts, which are added to the mean; jitter does not count.
	Empirical
)

// spreads is the list of names, in the order of the constants.
var spreads = [...]string{"uniform", "normal", "pareto", "empirical"}

// String returns the name that ParseSpread takes.
func (s Spread) String() string {
	if int(s) < len(spreads) {
		return spreads[s]
	}
	return "Spread(" + strconv.Itoa(int(s)) + ")"
}

// ParseSpread returns the Spread of a name; "" is Uniform.
func ParseSpread(name string) (Spread, error) {
	if name == "" {
		return Uniform, nil
	}
	for i, known := range spreads {
		if name == known {
			return Spread(i), nil
		}
	}
	return 0, fmt.Errorf("distribution: %q is not one of %s", name, strings.Join(spreads[:], ", "))
}

// Distribution says how random amounts, such as delays, are spread. It is a comparable value. The zero value is uniform and
// without correlation.
type Distribution struct {
	Spread Spread
	// Correlation of each amount with the one before, 0 to below 1. It is the coefficient of a Gaussian AR(1) process from
	// which the amounts are derived (a Gaussian copula), so it does not change how they are spread. That of netem does: it
	// averages uniform numbers, which narrows them.
	Correlation shape.Value
	// Table is a cumulative distribution for Empirical, in the form that ParseTable takes.
	Table string
}

// Validate names the attribute that is out of range.
func (d Distribution) Validate() error {
	if int(d.Spread) >= len(spreads) {
		return fmt.Errorf("distribution: unknown: %d", d.Spread)
	}
	if err := within("correlation", d.Correlation, 0, 1); err != nil {
		return err
	}
	if d.Correlation.Max() == 1 {
		return errors.New("correlation: 1 is not below 1")
	}
	if d.Spread != Empirical {
		if d.Table != "" {
			return fmt.Errorf("table: is for the empirical distribution, not for the %s one", d.Spread)
		}
		return nil
	}
	_, err := ParseTable(d.Table)
	return err
}

// New returns a source of amounts. The Distribution must be valid. The source is for one goroutine.
func (d Distribution) New(r *rand.Rand) *Sampler {
	s := &Sampler{spread: d.Spread, correlation: d.Correlation, rand: r, state: r.NormFloat64()}
	if d.Spread == Empirical {
		s.table, _ = ParseTable(d.Table) // an invalid one is empty, and gives 0
	}
	return s
}

// Sampler draws from a Distribution.
type Sampler struct {
	spread      Spread
	correlation shape.Value
	table       []Point
	rand        *rand.Rand
	state       float64 // of the AR(1) process; standard normal
}

// Next returns the next amount, at a time since the toxic came into force, in the unit of mean and jitter (of the table, for
// Empirical). It may be negative.
func (s *Sampler) Next(at time.Duration, mean, jitter float64) float64 {
	correlation := s.correlation.At(at)
	z := correlation*s.state + math.Sqrt(1-correlation*correlation)*s.rand.NormFloat64()
	s.state = z
	if s.spread == Normal {
		return mean + jitter*z
	}
	u := math.Erfc(-z/math.Sqrt2) / 2 // standard normal distribution function
	switch s.spread {
	case Pareto:
		return mean + jitter*standardPareto(u)
	case Empirical:
		return mean + quantile(s.table, u)
	default:
		return mean + jitter*(2*u-1)
	}
}

// standardPareto is the quantile function of a Pareto distribution of shape 3 and scale 1, less its mean 3/2, by its standard
// deviation.
func standardPareto(u float64) float64 {
	const leastTail = 1e-9 // bounds the result to about a thousand standard deviations
	x := math.Pow(max(1-u, leastTail), -1.0/3)
	return (x - 1.5) / math.Sqrt(0.75)
}

// Point is one point of a cumulative distribution: with probability P an amount is at most Value.
type Point struct{ P, Value float64 }

// ParseTable reads a cumulative distribution: probability:value pairs, apart by spaces or commas, for instance
// "0:10, 0.5:20, 0.99:80, 1:400". Probabilities rise strictly from 0 or more to 1, values do not fall. Between points
// amounts are spread evenly; below the first point's probability all have its value. At most 256 points.
func ParseTable(text string) ([]Point, error) {
	fields := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' || r == '\n' })
	if len(fields) == 0 {
		return nil, errors.New("table: the empirical distribution needs probability:value pairs")
	}
	if len(fields) > maxTable {
		return nil, fmt.Errorf("table: has %d points, more than %d", len(fields), maxTable)
	}
	points := make([]Point, 0, len(fields))
	for _, field := range fields {
		point, err := parsePoint(field)
		if err != nil {
			return nil, err
		}
		if n := len(points); n > 0 && (point.P <= points[n-1].P || point.Value < points[n-1].Value) {
			return nil, fmt.Errorf("table: %q does not rise over the pair before it", field)
		}
		points = append(points, point)
	}
	if last := points[len(points)-1]; last.P != 1 {
		return nil, fmt.Errorf("table: ends at probability %v, not at 1", last.P)
	}
	return points, nil
}

const maxTable = 256

func parsePoint(field string) (Point, error) {
	probability, value, found := strings.Cut(field, ":")
	if !found {
		return Point{}, fmt.Errorf("table: %q is not a probability:value pair", field)
	}
	p, err := strconv.ParseFloat(probability, 64)
	if err != nil || !(p >= 0 && p <= 1) {
		return Point{}, fmt.Errorf("table: %q is not a probability within 0 and 1", probability)
	}
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return Point{}, fmt.Errorf("table: %q is not a number", value)
	}
	return Point{p, v}, nil
}

// quantile returns the amount below which a share u of the table lies.
func quantile(table []Point, u float64) float64 {
	for i, point := range table {
		if u > point.P {
			continue
		}
		if i == 0 {
			return point.Value
		}
		before := table[i-1]
		return before.Value + (point.Value-before.Value)*(u-before.P)/(point.P-before.P)
	}
	if len(table) == 0 {
		return 0
	}
	return table[len(table)-1].Value
}
