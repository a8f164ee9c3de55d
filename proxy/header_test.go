package proxy_test

import (
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

func header(lines ...string) *proxy.Header {
	h := &proxy.Header{}
	for i := 0; i < len(lines); i += 2 {
		h.Add([]byte(lines[i]), []byte(lines[i+1]))
	}
	return h
}

func text(h *proxy.Header) (s string) {
	for _, f := range h.Fields {
		s += string(f.Name) + "=" + string(f.Value) + " "
	}
	return s
}

func TestHeaderSet(t *testing.T) {
	for name, c := range map[string]struct {
		before *proxy.Header
		want   string
	}{
		"absent":       {header("B", "1"), "B=1 a=new "},
		"once":         {header("A", "1", "B", "2"), "a=new B=2 "},
		"several":      {header("B", "1", "A", "2", "C", "3", "a", "4", "D", "5"), "B=1 a=new C=3 D=5 "},
		"same length":  {header("B", "1", "C", "2"), "B=1 C=2 a=new "},
		"nothing else": {header(), "a=new "},
	} {
		t.Run(name, func(t *testing.T) {
			c.before.Set([]byte("a"), []byte("new"))
			if got := text(c.before); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestHeaderSetDoesNotAllocate(t *testing.T) {
	name := []byte("X-A-Name-That-Is-Longer-Than-What-Fits-On-The-Stack")
	value := []byte("1")
	h := header("Accept", "*/*", string(name), "0", "Via", "x", string(name), "2")
	if n := testing.AllocsPerRun(100, func() { h.Set(name, value) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestEqualFold(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"", "", true}, {"Host", "hOST", true}, {"Host", "Hosts", false}, {"a-b", "A-B", true},
		{"[", "{", false}, {"@", "`", false}, {"a", "\xe1", false}, {"k", "\u212a", false},
	} {
		if got := proxy.EqualFold([]byte(c.a), c.b); got != c.want {
			t.Errorf("EqualFold(%q, %q) is %v", c.a, c.b, got)
		}
	}
}
