package toxic

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

const table = "0:10, 0.5:20 0.99:80,1:400"

// cumulative are the distribution functions for a mean of 100 and a jitter of 10.
var cumulative = map[Spread]func(x float64) float64{
	Uniform: func(x float64) float64 { return min(max((x-90)/20, 0), 1) },
	Normal:  func(x float64) float64 { return math.Erfc(-(x-100)/10/math.Sqrt2) / 2 },
	Pareto: func(x float64) float64 {
		if y := (x-100)/10*math.Sqrt(0.75) + 1.5; y > 1 {
			return 1 - math.Pow(y, -3)
		}
		return 0
	},
	Empirical: func(x float64) float64 {
		switch x -= 100; {
		case x < 10:
			return 0
		case x < 20:
			return (x - 10) / 10 * 0.5
		case x < 80:
			return 0.5 + (x-20)/60*0.49
		case x < 400:
			return 0.99 + (x-80)/320*0.01
		}
		return 1
	},
}

func TestSamplesFollowTheDistribution(t *testing.T) {
	for spread, want := range cumulative {
		for _, correlation := range []float64{0, 0.7} {
			d := Distribution{Spread: spread, Correlation: shape.Const(correlation)}
			if spread == Empirical {
				d.Table = table
			}
			if err := d.Validate(); err != nil {
				t.Fatal(err)
			}
			n := 4000
			if correlation > 0 {
				n = 24000 // as good as a sixth of them would be
			}
			s := d.New(rand.New(rand.NewPCG(1, uint64(spread))))
			xs := make([]float64, n)
			for i := range xs {
				xs[i] = s.Next(0, 100, 10)
			}
			got := lagOne(xs)
			if spread == Normal && math.Abs(got-correlation) > 0.03 || correlation > 0 && got < 0.25 || correlation == 0 && math.Abs(got) > 0.06 {
				t.Errorf("%v with correlation %v: measured %.3f", spread, correlation, got)
			}
			slices.Sort(xs)
			if ks := kolmogorov(xs, want); ks >= 0.05 {
				t.Errorf("%v with correlation %v: Kolmogorov-Smirnov distance %.3f", spread, correlation, ks)
			}
		}
	}
}

// lagOne is the correlation of each number with the one before.
func lagOne(xs []float64) float64 {
	mean := 0.0
	for _, x := range xs {
		mean += x / float64(len(xs))
	}
	var covariance, variance float64
	for i, x := range xs {
		variance += (x - mean) * (x - mean)
		if i > 0 {
			covariance += (x - mean) * (xs[i-1] - mean)
		}
	}
	return covariance / variance
}

// kolmogorov is the greatest distance between what sorted numbers show and a distribution function.
func kolmogorov(sorted []float64, want func(float64) float64) float64 {
	d := 0.0
	for i, x := range sorted {
		p := want(x)
		d = max(d, math.Abs(p-float64(i)/float64(len(sorted))), math.Abs(p-float64(i+1)/float64(len(sorted))))
	}
	return d
}

func TestDistributionRefuses(t *testing.T) {
	for _, c := range []struct {
		d    Distribution
		want string
	}{
		{Distribution{Correlation: shape.Const(1)}, "correlation"},
		{Distribution{Correlation: shape.Const(-0.1)}, "correlation"},
		{Distribution{Correlation: shape.Const(math.NaN())}, "correlation"},
		{Distribution{Spread: 9}, "distribution"},
		{Distribution{Spread: Normal, Table: table}, "table"},
		{Distribution{Spread: Empirical}, "table"},
		{Distribution{Spread: Empirical, Table: "0:1,0.5:2"}, "not at 1"},
		{Distribution{Spread: Empirical, Table: "0:1,0:2,1:3"}, "rise"},
		{Distribution{Spread: Empirical, Table: "0:3,1:2"}, "rise"},
		{Distribution{Spread: Empirical, Table: "2:3"}, "probability"},
		{Distribution{Spread: Empirical, Table: "1:NaN"}, "number"},
		{Distribution{Spread: Empirical, Table: "1"}, "pair"},
		{Distribution{Spread: Empirical, Table: strings.Repeat("0:1,", 257)}, "more than"},
	} {
		if err := c.d.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c.d, err)
		}
	}
	for _, name := range append(spreads[:], "") {
		if s, err := ParseSpread(name); err != nil || name != "" && s.String() != name {
			t.Errorf("%q: %v %v", name, s, err)
		}
	}
	if _, err := ParseSpread("gauss"); err == nil {
		t.Error("unknown spread taken")
	}
}

func TestDelaysAreNeverNegativeAndFollowShapes(t *testing.T) {
	j := Jitter{Mean: shape.Value{Base: 1, To: 101, Wave: shape.Ramp, Period: time.Second}, Amount: shape.Const(50)}
	d := j.New(rand.New(rand.NewPCG(1, 2)))
	sum := time.Duration(0)
	for range 1000 {
		if x := d.Next(0); x < 0 {
			t.Fatal(x)
		}
		sum += d.Next(time.Second)
	}
	if mean := sum / 1000; mean < 95*time.Millisecond || mean > 107*time.Millisecond {
		t.Error(mean)
	}
	for _, ms := range []float64{math.NaN(), math.Inf(-1), -1} {
		if milliseconds(ms) != 0 {
			t.Error(ms)
		}
	}
	if milliseconds(math.Inf(1)) != longest || after(Never-1, time.Second) != Never || after(1, 1) != 2 {
		t.Error("overflow")
	}
	var o InOrder
	for _, c := range []struct{ due, want time.Duration }{{5, 5}, {3, 5}, {Never, Never}, {6, 6}} {
		if got := o.Due(c.due); got != c.want {
			t.Error(c, got)
		}
	}
}

func FuzzParseTable(f *testing.F) {
	f.Add(table)
	f.Add("1:1")
	f.Add("0:-1e300,1:1e300")
	f.Fuzz(func(t *testing.T, text string) {
		points, err := ParseTable(text)
		if err != nil {
			return
		}
		last := math.Inf(-1)
		for u := 0.0; u <= 1; u += 1.0 / 64 {
			x := quantile(points, u)
			if !(x >= last) && !math.IsInf(points[len(points)-1].Value-points[0].Value, 0) {
				t.Fatalf("%q: quantile(%v) = %v after %v", text, u, x, last)
			}
			last = x
		}
	})
}
