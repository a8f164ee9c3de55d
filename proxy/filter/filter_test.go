package filter

import (
	"reflect"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// exchange returns a GET of a URL's parts that a Route with the prefix has selected.
func exchange(host, path, query, prefix string) *proxy.Exchange {
	return &proxy.Exchange{
		Request: proxy.Request{
			Method:    []byte("GET"),
			Scheme:    "http",
			Authority: []byte(host),
			Host:      []byte(host),
			Path:      []byte(path),
			Query:     []byte(query),
			HasQuery:  query != "",
		},
		Route: &proxy.Route{Match: proxy.Match{Path: proxy.PathMatch{Value: prefix}}},
	}
}

func TestAllNamesItsKinds(t *testing.T) {
	for _, k := range All() {
		if name := reflect.TypeOf(k.Zero).Name(); name != k.Name || k.Doc == "" {
			t.Errorf("%s is listed as %q, %q", name, k.Name, k.Doc)
		}
		if err := k.Zero.Validate(); err != nil {
			t.Errorf("%s: the zero value is invalid: %v", k.Name, err)
		}
	}
}

// A field that Describe forgets does not change what it says.
func TestDescribeForgetsNoField(t *testing.T) {
	for _, k := range All() {
		value := reflect.New(reflect.TypeOf(k.Zero)).Elem()
		said := map[string]string{k.Zero.Describe(): "nothing"}
		setEach(value, k.Name, func(field string) {
			text := value.Interface().(Filter).Describe()
			if other, ok := said[text]; ok {
				t.Errorf("with %s set it says %q, as with %s", field, text, other)
			}
			said[text] = field
		})
	}
}

// setEach calls set for each field at and below v, while that has a value and the others have none.
func setEach(v reflect.Value, name string, set func(name string)) {
	switch v.Kind() {
	case reflect.Struct:
		for f, value := range v.Fields() {
			setEach(value, name+"."+f.Name, set)
		}
		return
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		setEach(v.Index(0), name+"[0]", set)
	case reflect.String:
		v.SetString("x")
		set(name)
	case reflect.Int:
		v.SetInt(1)
		set(name)
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(1)
		set(name)
	default:
		panic("what is a value of " + name + "?")
	}
	v.SetZero()
}

func TestFiltersDoNotAllocate(t *testing.T) {
	fields := []Field{{"X-A-Name-That-Is-Longer-Than-Thirty-Two-Bytes", "1"}, {"X-B", "2"}}
	x := exchange("shop.example.com", "/a/b", "q=1", "/a")
	for _, f := range []Filter{
		RequestHeaders{Set: fields, Add: []Field{{"X-C", "3"}}, Remove: []string{"x-d"}},
		ResponseHeaders{Set: fields, Add: []Field{{"X-C", "3"}}, Remove: []string{"x-d"}},
		Redirect{Scheme: "https", Path: Path{ReplacePrefix, "/other"}},
		Rewrite{Hostname: "other.example.com", Path: Path{ReplacePrefix, "/other"}},
	} {
		if err := f.Validate(); err != nil {
			t.Fatal(err)
		}
		step, request, route := f.New(), x.Request, x.Route
		run := func() {
			x.Reset()
			header := x.Request.Header.Fields
			x.Request, x.Route = request, route
			x.Request.Header.Fields = header
			step.Request(x)
			step.Response(x)
		}
		run()
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%T: %v allocations", f, n)
		}
	}
}

func BenchmarkStep(b *testing.B) {
	for _, f := range []Filter{
		RequestHeaders{Set: []Field{{"X-A", "1"}}, Add: []Field{{"X-B", "2"}}, Remove: []string{"x-c"}},
		Redirect{Scheme: "https"},
		Rewrite{Path: Path{ReplacePrefix, "/other"}},
	} {
		b.Run(reflect.TypeOf(f).Name(), func(b *testing.B) {
			step := f.New()
			x := exchange("shop.example.com", "/a/b", "q=1", "/a")
			request, route := x.Request, x.Route
			b.ReportAllocs()
			for b.Loop() {
				x.Reset()
				header := x.Request.Header.Fields
				x.Request, x.Route = request, route
				x.Request.Header.Fields = header
				step.Request(x)
				step.Response(x)
			}
		})
	}
}
