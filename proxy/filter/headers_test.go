package filter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

func lines(h *proxy.Header) string {
	var b strings.Builder
	for _, f := range h.Fields {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	return b.String()
}

func TestHeaderChange(t *testing.T) {
	for _, c := range []struct {
		name       string
		f          RequestHeaders
		have, want []Field
	}{
		{"nothing", RequestHeaders{}, []Field{{"A", "1"}}, []Field{{"A", "1"}}},
		{"set replaces", RequestHeaders{Set: []Field{{"my-header", "bar"}}}, []Field{{"My-Header", "foo"}}, []Field{{"my-header", "bar"}}},
		{"set replaces every line", RequestHeaders{Set: []Field{{"a", "3"}}},
			[]Field{{"A", "1"}, {"B", "x"}, {"a", "2"}}, []Field{{"B", "x"}, {"a", "3"}}},
		{"set makes what is not there", RequestHeaders{Set: []Field{{"a", "1"}}}, nil, []Field{{"a", "1"}}},
		{"add keeps what is there", RequestHeaders{Add: []Field{{"my-header", "bar,baz"}}},
			[]Field{{"my-header", "foo"}}, []Field{{"my-header", "foo"}, {"my-header", "bar,baz"}}},
		{"add makes what is not there", RequestHeaders{Add: []Field{{"a", "1"}}}, nil, []Field{{"a", "1"}}},
		{"remove is without regard to case", RequestHeaders{Remove: []string{"my-header1", "MY-HEADER3"}},
			[]Field{{"My-Header1", "a"}, {"my-header2", "b"}, {"my-header3", "c"}, {"my-header1", "d"}}, []Field{{"my-header2", "b"}}},
		{"all together", RequestHeaders{Set: []Field{{"a", "2"}}, Add: []Field{{"b", "2"}}, Remove: []string{"c"}},
			[]Field{{"a", "1"}, {"b", "1"}, {"c", "1"}}, []Field{{"b", "1"}, {"a", "2"}, {"b", "2"}}},
	} {
		if err := c.f.Validate(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		var have, want proxy.Header
		for _, f := range c.have {
			have.Add([]byte(f.Name), []byte(f.Value))
		}
		for _, f := range c.want {
			want.Add([]byte(f.Name), []byte(f.Value))
		}
		// Each filter changes its own side and leaves the other alone.
		x := &proxy.Exchange{}
		x.Request.Header.Fields = append([]proxy.Field(nil), have.Fields...)
		x.Response.Header.Fields = append([]proxy.Field(nil), have.Fields...)
		request := c.f.New()
		if request.Request(x) != nil {
			t.Errorf("%s: answered", c.name)
		}
		request.Response(x)
		if got := lines(&x.Request.Header); got != lines(&want) || lines(&x.Response.Header) != lines(&have) {
			t.Errorf("%s: request\n%swant\n%s", c.name, got, lines(&want))
		}
		x.Request.Header.Fields = append([]proxy.Field(nil), have.Fields...)
		response := ResponseHeaders(c.f).New()
		if response.Request(x) != nil {
			t.Errorf("%s: answered", c.name)
		}
		response.Response(x)
		if got := lines(&x.Response.Header); got != lines(&want) || lines(&x.Request.Header) != lines(&have) {
			t.Errorf("%s: response\n%swant\n%s", c.name, got, lines(&want))
		}
	}
}

func TestHeadersValidate(t *testing.T) {
	for _, c := range []struct {
		f    RequestHeaders
		want string // in the message; "" is valid
	}{
		{RequestHeaders{Set: []Field{{"X-A_b.c", "a\tb, \"c\" é"}}}, ""},
		{RequestHeaders{Set: []Field{{"X", ""}}}, ""},
		{RequestHeaders{Set: []Field{{"Host", "a"}}}, `set: the field "Host" belongs to the proxy`},
		{RequestHeaders{Add: []Field{{"content-LENGTH", "1"}}}, `add: the field "content-LENGTH" belongs`},
		{RequestHeaders{Remove: []string{"Transfer-Encoding"}}, `remove: the field "Transfer-Encoding" belongs`},
		{RequestHeaders{Set: []Field{{"connection", "close"}}}, "belongs"},
		{RequestHeaders{Set: []Field{{"Keep-Alive", "1"}}}, "belongs"},
		{RequestHeaders{Set: []Field{{"TE", "trailers"}}}, "belongs"},
		{RequestHeaders{Set: []Field{{"Trailer", "a"}}}, "belongs"},
		{RequestHeaders{Set: []Field{{"Upgrade", "websocket"}}}, "belongs"},
		{RequestHeaders{Set: []Field{{"Proxy-Connection", "a"}}}, "belongs"},
		{RequestHeaders{Set: []Field{{"Expect", "100-continue"}}}, "belongs"},
		{RequestHeaders{Set: []Field{{"", "a"}}}, `"" is not a field name`},
		{RequestHeaders{Set: []Field{{":authority", "a"}}}, "not a field name"},
		{RequestHeaders{Remove: []string{"a b"}}, "not a field name"},
		{RequestHeaders{Remove: []string{"a\r\nb"}}, "not a field name"},
		{RequestHeaders{Set: []Field{{"é", "a"}}}, "not a field name"},
		{RequestHeaders{Set: []Field{{"a", "1\r\nb: 2"}}}, "not a field value"},
		{RequestHeaders{Add: []Field{{"a", "1\x00"}}}, "not a field value"},
		{RequestHeaders{Add: []Field{{"a", " 1"}}}, "not a field value"},
		{RequestHeaders{Set: []Field{{"a", "1"}}, Add: []Field{{"A", "2"}}}, `add: the field "A" is named more than once`},
		{RequestHeaders{Remove: []string{"a", "A"}}, "more than once"},
		{RequestHeaders{Remove: []string{"A", "a"}}, "more than once"},
		{RequestHeaders{Set: []Field{{"Host", "a"}}, Remove: []string{"\n"}}, `"\n" is not a field name`}, // both are named
	} {
		for _, err := range []error{c.f.Validate(), ResponseHeaders(c.f).Validate()} {
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v: %v, want %q", c.f, err, c.want)
			}
		}
	}
}
