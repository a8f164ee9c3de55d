package router

import (
	"regexp"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

func TestPatternTakesWhatPackageRegexpTakes(t *testing.T) {
	deep := strings.Repeat("(", 999) + "a" + strings.Repeat(")", 999)
	for _, c := range []struct {
		expression, value string
		want              bool
	}{
		{`\Q/a.b`, "/a.b", true},
		{`\Q/a.b`, "/a.bc", false},
		{`/x\Q/a.b`, "/x/a.b", true},
		{`a|ab|\Qabc`, "abc", true},
		{`\Qa\E+`, "aaa", true},
		{deep, "a", true},
		{deep, "ab", false},
		{deep, "ba", false},
		{``, "", true},
		{``, "a", false},
		{`a??`, "a", true},
		{`a|ab`, "ab", true},
		{`(?i)A`, "a", true},
		{`(?m)^a$`, "a\nb", false},
	} {
		if _, err := regexp.Compile(c.expression); err != nil {
			t.Fatalf("%.20q: not for this test: %v", c.expression, err)
		}
		p, err := compilePattern(c.expression)
		if err != nil {
			t.Errorf("%.20q: %v", c.expression, err)
		} else if got := p.match([]byte(c.value)); got != c.want {
			t.Errorf("%.20q on %q is %t", c.expression, c.value, got)
		}
	}
}

func FuzzPattern(f *testing.F) {
	f.Add(`\Qa`, "a")
	f.Add(`a)|(b`, "b")
	f.Add(`(?i)a|ab`, "AB")
	f.Fuzz(func(t *testing.T, expression, value string) {
		_, want := regexp.Compile(expression)
		p, got := compilePattern(expression)
		if (want == nil) != (got == nil) {
			t.Fatalf("%q: %v, package regexp says %v", expression, got, want)
		}
		if got == nil && p.match([]byte(value)) != (reference{}).regexp(expression, value) {
			t.Errorf("%q on %q is %t", expression, value, p.match([]byte(value)))
		}
	})
}

// TestAnExpressionIsCompiledOnce: an HTTPRoute stands in as many Hosts as it has hostnames, and repeats its expressions at will.
func TestAnExpressionIsCompiledOnce(t *testing.T) {
	routes := []*proxy.Route{
		{Match: proxy.Match{Path: regex("/a+")}},
		{Match: proxy.Match{Path: regex("/a+"), Headers: []proxy.ValueMatch{{Type: proxy.ValueRegex, Name: "x", Value: "/a+"}}}},
	}
	table := compile(t, &proxy.Listener{Hosts: []*proxy.Host{{Name: "a.com", Routes: routes}, {Name: "b.com", Routes: routes}}})
	seen := map[*pattern]bool{}
	for _, l := range table.byID {
		for _, h := range l.hosts.exact {
			for _, p := range h.patterns {
				seen[p.path] = true
				if c := p.rule.conditions; c != nil {
					seen[c.headers[0].pattern] = true
				}
			}
		}
	}
	if len(seen) != 1 {
		t.Errorf("one expression is there %d times", len(seen))
	}
}
