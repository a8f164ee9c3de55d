package fault

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// turn is when the numbers of these tests step.
const turn = time.Hour

// event is one that a client dispatches.
const event = "data: 1\n\n"

// response lets a step have a response of 100 events and returns its Content-Length, and what comes of its content within how long.
func response(s Step) (length int64, came string, took time.Duration) {
	content := strings.Repeat(event, 100)
	x := new(proxy.Exchange)
	x.Response = proxy.Response{Status: 200, ContentLength: int64(len(content))}
	x.Response.Header.Add([]byte("Content-Type"), []byte("text/event-stream"))
	began := time.Now()
	got, _ := io.ReadAll(Respond([]Step{s}, x, readerBody{strings.NewReader(content)}))
	return x.Response.ContentLength, string(got), time.Since(began)
}

// What follows measures what Steps that are made now do, in the unit of the number that it is measured for.

func delay(next func() Step) float64 { return next().Delay.Seconds() * 1000 }

// jitter is the farthest from 500 ms.
func jitter(next func() Step) (most float64) {
	for range 1000 {
		most = max(most, math.Abs(delay(next)-500))
	}
	return most
}

func bytesOfContent(next func() Step) float64 {
	_, came, _ := response(next())
	return float64(len(came))
}

func eventsPassed(next func() Step) float64 { return bytesOfContent(next) / float64(len(event)) }

func wrongBy(next func() Step) float64 {
	length, _, _ := response(next())
	return float64(length) - 100*float64(len(event))
}

func bytesPerSecond(next func() Step) float64 {
	_, came, took := response(next())
	return float64(len(came)) / took.Seconds()
}

// TestEveryNumberMayChange: each number of each fault that steps is one thing before its time, counted from when the fault has come
// into force, and another one after it. For what is done to a response it is the time of that, not the request's, that counts.
func TestEveryNumberMayChange(t *testing.T) {
	missing := numbers(t)
	for _, c := range []struct {
		fault    Fault
		field    string
		from, to float64
		shows    func(next func() Step) float64
		// isOfRequest is true of what is done to requests.
		isOfRequest bool
	}{
		{Delay{}, "Latency", 100, 300, delay, true},
		{Delay{Latency: shape.Const(500)}, "Jitter", 100, 20, jitter, true},
		{Throttle{}, "Rate", 100, 1000, bytesPerSecond, false},
		{TruncateBody{}, "Bytes", 100, 300, bytesOfContent, false},
		{BrokenChunk{}, "Bytes", 100, 300, bytesOfContent, false},
		{CutEvents{}, "Events", 3, 20, eventsPassed, false},
		{WrongContentLength{}, "By", -100, 300, wrongBy, false},
	} {
		value := reflect.New(reflect.TypeOf(c.fault)).Elem()
		value.Set(reflect.ValueOf(c.fault))
		value.FieldByName(c.field).Set(reflect.ValueOf(shape.Value{Base: c.from, To: c.to, Wave: shape.Step, Period: turn}))
		fault := value.Interface().(Fault)
		name := value.Type().Name() + "." + c.field
		delete(missing, name)
		t.Run(name, func(t *testing.T) {
			if err := fault.Validate(); err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(1, 2))
			at := func(began time.Duration) Site {
				return Site{Rand: r, Began: began, Pause: func(d time.Duration) *proxy.Error { time.Sleep(d); return nil }}
			}
			most := math.Abs(c.to-c.from) / 8
			check := func(t *testing.T, when string, want float64, next func() Step) {
				t.Helper()
				if got := c.shows(next); !(math.Abs(got-want) <= most) {
					t.Errorf("%s: %v, want %v", when, got, want)
				}
			}
			synctest.Test(t, func(t *testing.T) {
				check(t, "before", c.from, func() Step { return fault.New(at(turn / 2)) })
				check(t, "after", c.to, func() Step { return fault.New(at(turn)) })
				if c.isOfRequest {
					return
				}
				s := fault.New(at(turn / 2))
				time.Sleep(turn / 2)
				check(t, "the request before, the response after", c.to, func() Step { return s })
			})
		})
	}
	for name := range missing {
		t.Errorf("nothing shows that %s may change over time", name)
	}
}

// numbers returns the numbers of all faults of this package that may change over time.
func numbers(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			typ, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			fields, ok := typ.Type.(*ast.StructType)
			if !ok || !typ.Name.IsExported() {
				return false
			}
			for _, f := range fields.Fields.List {
				if of, ok := f.Type.(*ast.SelectorExpr); !ok || of.Sel.Name != "Value" {
					continue
				}
				for _, name := range f.Names {
					all[typ.Name.Name+"."+name.Name] = true
				}
			}
			return false
		})
	}
	return all
}
