package router

import (
	"regexp"
	"strings"
	"testing"
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
