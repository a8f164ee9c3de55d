package fault

import (
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// Faults are compared with ==, and told apart by their names.
func TestFaultsAreComparableAndHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range []Fault{
		Abort{}, Delay{}, Headers{}, TruncateBody{}, WrongContentLength{}, BrokenChunk{}, CutEvents{}, Throttle{},
	} {
		if !reflect.TypeOf(f).Comparable() {
			t.Errorf("%T is not comparable", f)
		}
		if name := f.Type(); seen[name] || name == "" || strings.ToLower(name) != name {
			t.Errorf("%T is called %q", f, name)
		} else {
			seen[name] = true
		}
		var _ proxy.Toxic = f
	}
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		fault Fault
		want  string // the beginning of the error; "" is none
	}{
		{Abort{}, "status: exactly one"},
		{Abort{Status: 200, End: FIN}, "status: exactly one"},
		{Abort{Status: 200, GRPCStatus: 1}, "status: exactly one"},
		{Abort{Status: 199}, "status: 199 is not within 200 and 599"},
		{Abort{Status: 600}, "status: 600"},
		{Abort{Status: -1}, "status: -1"},
		{Abort{Status: 599}, ""},
		{Abort{GRPCStatus: 17}, "grpc_status: 17 is not within 1 and 16"},
		{Abort{GRPCStatus: -1}, "grpc_status: -1"},
		{Abort{GRPCStatus: 16, GRPCMessage: "\x00 any text"}, ""},
		{Abort{GRPCStatus: 16, GRPCMessage: strings.Repeat("x", 1025)}, "grpc_message: 1025"},
		{Abort{Status: 500, GRPCMessage: "x"}, "grpc_message: it needs"},
		{Abort{End: 3}, "end: 3"},
		{Abort{End: FIN, Body: "x"}, "body: body and headers need"},
		{Abort{GRPCStatus: 3, Header: "A: b"}, "body: body and headers need"},
		{Abort{Status: 204, Body: "x"}, "body: a response with status 204"},
		{Abort{Status: 304}, ""},
		{Abort{Status: 500, Body: strings.Repeat("x", 65537)}, "body: 65537 bytes"},
		{Abort{Status: 500, Header: "Content-Length: 3"}, `headers: the field "Content-Length" belongs`},
		{Abort{Status: 500, Header: "A b: 3"}, `headers: "A b" is not a field name`},
		{Abort{Status: 500, Header: Fields("").With("A", "b\r")}, `headers: "b\r" is no value`},
		{Abort{Status: 500, Header: Fields("").With("A", "b\nTransfer-Encoding: chunked")}, `headers: "b\x00`},
		{Abort{Status: 500, Header: Fields("").With("A: b\nC", "d")}, `headers: "A\x00`},
		{Abort{Status: 500, Header: Fields("").With("", "d")}, `headers: "" is not`},
		{Abort{Status: 500, Header: "A: b\n"}, `headers: "" is not`},
		{Delay{}, ""},
		{Delay{Latency: shape.Const(-1)}, "latency: -1 is not within 0 and"},
		{Delay{Latency: shape.Const(3.6e6 + 1)}, "latency: "},
		{Delay{Latency: shape.Const(math.NaN())}, "latency: NaN"},
		{Delay{Jitter: shape.Const(math.Inf(1))}, "jitter: +Inf"},
		{Delay{Latency: shape.Value{Base: 1, To: -1, Wave: shape.Sine, Period: 1}}, "latency: -1"},
		{Delay{Latency: shape.Value{Base: 1, To: 2, Wave: shape.Sine}}, "latency: the shape needs a period"},
		{Delay{Latency: shape.Value{Wave: 77, Period: 1}}, "latency: 77"},
		{Headers{}, "request: at least one"},
		{Headers{Request: HeaderChange{Set: "Host: x"}}, `request.set: the field "Host"`},
		{Headers{Request: HeaderChange{Remove: "a,,b"}}, `request.remove: "" is not`},
		{Headers{Response: HeaderChange{Remove: Names("").With("a,b")}}, `response.remove: "a\x00b"`},
		{Headers{Response: HeaderChange{Add: "TE: x"}}, `response.add: the field "TE"`},
		{Headers{Response: HeaderChange{Remove: Names("").With("A").With("B"), Add: Fields("").With("A", "").With("B", "x: y")}}, ""},
		{TruncateBody{}, ""},
		{TruncateBody{Bytes: shape.Const(-1)}, "bytes: -1"},
		{WrongContentLength{}, "by: 0"},
		{WrongContentLength{By: shape.Const(1<<20 + 1)}, "by: 1.048577e+06"},
		{WrongContentLength{By: shape.Const(-1<<20 - 1)}, "by: -1.048577e+06"},
		{WrongContentLength{By: shape.Const(math.MinInt64)}, "by: -9.22"},
		{WrongContentLength{By: shape.Value{Base: 1, To: 1<<20 + 1, Wave: shape.Ramp, Period: 1}}, "by: 1.048577e+06"},
		{WrongContentLength{By: shape.Value{To: 1, Wave: shape.Ramp, Period: 1}}, ""},
		{TruncateBody{Bytes: shape.Value{To: -1, Wave: shape.Ramp, Period: 1}}, "bytes: -1"},
		{BrokenChunk{Bytes: shape.Value{To: 1, Wave: shape.Ramp}}, "bytes: the shape"},
		{CutEvents{Events: shape.Value{To: -1, Wave: shape.Sine, Period: 1}}, "events: -1"},
		{BrokenChunk{Bytes: shape.Const(-1)}, "bytes: -1"},
		{CutEvents{Events: shape.Const(-1)}, "events: -1"},
		{CutEvents{End: 3}, "end: 3"},
		{Throttle{}, ""},
		{Throttle{Rate: shape.Const(-1)}, "rate: -1"},
		{Throttle{Rate: shape.Const(2e12)}, "rate: 2e+12"},
	} {
		err := test.fault.Validate()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)) {
			t.Errorf("%#v: %v, want %q", test.fault, err, test.want)
		}
	}
}

// The delay is what was asked: latency give or take jitter, every value being as likely, or the value of a shape at the time.
func TestDelayIsWhatWasAsked(t *testing.T) {
	site := Site{Rand: rand.New(rand.NewPCG(1, 2))}
	if d := (Delay{Latency: shape.Const(1.5)}).New(site).Delay; d != 1500*time.Microsecond {
		t.Error(d)
	}
	site.Began = 3 * time.Second
	if d := (Delay{Latency: shape.Value{Base: 100, To: 200, Wave: shape.Step, Period: 2 * time.Second}}).New(site).Delay; d != 200*time.Millisecond {
		t.Error(d)
	}
	f := Delay{Latency: shape.Const(100), Jitter: shape.Const(50)}
	const n = 20000
	var sum, below float64
	for range n {
		d := f.New(site).Delay
		if d < 50*time.Millisecond || d > 150*time.Millisecond {
			t.Fatal(d)
		}
		if d < 75*time.Millisecond {
			below++
		}
		sum += d.Seconds()
	}
	if mean := sum / n; math.Abs(mean-0.1) > 0.001 || math.Abs(below/n-0.25) > 0.015 {
		t.Errorf("mean %v s, share in the lowest quarter %v", mean, below/n)
	}
	for range 1000 {
		if d := (Delay{Jitter: shape.Const(50)}).New(site).Delay; d < 0 {
			t.Fatal(d)
		}
	}
}

// The last step is nearest to the endpoint: it sees the response first.
func TestStepsSeeTheResponseInOrder(t *testing.T) {
	var did []string
	note := func(s string) func(*proxy.Exchange) { return func(*proxy.Exchange) { did = append(did, s) } }
	all := []Step{{Response: note("a")}, {Response: note("b")}, {Response: note("c")}}
	x := new(proxy.Exchange)
	Respond(all, x, (&Reply{Status: 500}).Fill(x))
	if got := strings.Join(did, " "); got != "c b a" {
		t.Error(got)
	}
}

// A protocol switch is no response that could be damaged.
func TestTunnelsAreLeftAlone(t *testing.T) {
	x := new(proxy.Exchange)
	x.Response = proxy.Response{Status: 101, ContentLength: -1}
	b := &proxy.Text{Rest: "x"}
	for _, f := range []Fault{TruncateBody{}, BrokenChunk{}, Throttle{}, WrongContentLength{By: shape.Const(1)}, Headers{Response: HeaderChange{Set: "A: b"}}} {
		if got := Respond([]Step{f.New(Site{})}, x, b); got != b || x.Response.Header.Len() > 0 {
			t.Errorf("%T wraps a tunnel", f)
		}
	}
}

// slow is a Body of n bytes that gives at most 100 at a time, after a pause each, and the first ones after another.
type slow struct {
	proxy.Text
	n            int
	pause, first time.Duration
}

func (s *slow) Read(p []byte) (int, error) {
	if s.n == 0 {
		return 0, io.EOF
	}
	time.Sleep(s.pause + s.first)
	s.first = 0
	n := min(len(p), 100, s.n)
	s.n -= n
	return n, nil
}

// A throttled body takes as long as its rate says, within a portion, and credits no more than that for the endpoint's own pauses.
func TestThrottleKeepsItsRate(t *testing.T) {
	for name, test := range map[string]struct {
		rate  shape.Value
		body  slow
		began time.Duration
		want  time.Duration
	}{
		"fast endpoint":        {shape.Const(1000), slow{n: 5000}, 0, 5 * time.Second},
		"one byte a second":    {shape.Const(1), slow{n: 3}, 0, 3 * time.Second},
		"high rate":            {shape.Const(1e9), slow{n: 1e6}, 0, time.Millisecond},
		"slow endpoint":        {shape.Const(1e9), slow{n: 500, pause: time.Second}, 0, 5 * time.Second},
		"no credit for pauses": {shape.Const(100), slow{n: 200, first: 5 * time.Second}, 0, 7 * time.Second},
		"from nothing to fast": {shape.Value{To: 1e6, Wave: shape.Step, Period: 10 * time.Second}, slow{n: 100}, 7 * time.Second, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				pause := func(d time.Duration) *proxy.Error { time.Sleep(d); return nil }
				x := new(proxy.Exchange)
				x.Response = proxy.Response{Status: 200, ContentLength: -1}
				b := Respond([]Step{Throttle{Rate: test.rate}.New(Site{Began: test.began, Pause: pause})}, x, &test.body)
				want := test.body.n
				n, err := io.Copy(io.Discard, b)
				if err != nil || n != int64(want) {
					t.Fatal(n, err)
				}
				if took := time.Since(began); took < test.want-portion || took > test.want+30*time.Millisecond {
					t.Errorf("took %v, want %v", took, test.want)
				}
			})
		})
	}
}

// lateReads is a Body whose reads take a while.
type lateReads struct {
	proxy.Body
	late time.Duration
}

func (l lateReads) Read(p []byte) (int, error) {
	time.Sleep(l.late)
	return l.Body.Read(p)
}

// Pauses and reads end late on a real clock, and clients take their time. That does not add up.
func TestThrottleMakesUpForLateness(t *testing.T) {
	const rate, n, late = 100_000, 400_000, time.Millisecond
	const want = n * time.Second / rate
	for name, lates := range map[string][3]time.Duration{
		"pauses": {late, 0, 0}, "the client": {0, late, 0}, "reads": {0, 0, late}, "all": {late, late, late},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pause := func(d time.Duration) *proxy.Error { time.Sleep(d + lates[0]); return nil }
				x := new(proxy.Exchange)
				x.Response = proxy.Response{Status: 200, ContentLength: -1}
				b := Respond([]Step{Throttle{Rate: shape.Const(rate)}.New(Site{Pause: pause})}, x, lateReads{&proxy.Text{Rest: strings.Repeat("x", n)}, lates[2]})
				began := time.Now()
				for err := error(nil); err == nil; {
					_, err = b.Read(make([]byte, 1000))
					time.Sleep(lates[1])
				}
				if took := time.Since(began); took < want-portion || took > want+portion {
					t.Errorf("took %v, want %v", took, want)
				}
			})
		})
	}
}

// A pause that ends early ends a throttled body.
func TestThrottleEndsWithItsPause(t *testing.T) {
	want := &proxy.Error{Side: proxy.Downstream}
	for _, rate := range []float64{0, 1} {
		x := new(proxy.Exchange)
		x.Response = proxy.Response{Status: 200, ContentLength: 1}
		site := Site{Pause: func(time.Duration) *proxy.Error { return want }}
		b := Respond([]Step{Throttle{Rate: shape.Const(rate)}.New(site)}, x, &proxy.Text{Rest: "x"})
		if _, err := b.Read(make([]byte, 10)); err != error(want) {
			t.Errorf("at rate %v: %v", rate, err)
		}
	}
}
