package syntax

import (
	"regexp/syntax"
	"strings"
	"testing"
)

func TestExpressionProblem(t *testing.T) {
	check(t, "ok", ExpressionProblem("/a|(?i)b"), "")
	check(t, "unclosed", ExpressionProblem("("), "missing closing )")
	check(t, "escaping the anchors", ExpressionProblem("a)|(?:b"), "unexpected )")
	check(t, "back reference", ExpressionProblem(`(a)\1`), "invalid escape sequence")
	check(t, "long", ExpressionProblem(strings.Repeat("a", 5000)), "longer")
	check(t, "huge", ExpressionProblem("(((a{100}){100}){100})"), "expression")
	check(t, "an address", ExpressionProblem(`(?i)/api/v[0-9]{1,3}/(users|orders)/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/?.*`), "")
	check(t, "a hundred words", ExpressionProblem(strings.Repeat("fourteen-chars|", 100)), "")
}

// TestFewCharactersCannotMakeAnyNumberOfInstructions: what takes much memory and time per request is refused, before it has been
// compiled.
func TestFewCharactersCannotMakeAnyNumberOfInstructions(t *testing.T) {
	for _, expression := range []string{
		strings.Repeat("x{1000}", 585), "/" + strings.Repeat("(?:x?){1000}", 85) + "y", "((a{10}){10}){10}b{1000}c", strings.Repeat(`\pL`, 1365),
	} {
		check(t, expression[:10], ExpressionProblem(expression), "too large")
	}
}

func TestExpressionsOfAnObjectShareABudget(t *testing.T) {
	var e Expressions
	large := "(?:" + strings.Repeat("abcdefghi|", 150) + ")" // 1,500 characters and more instructions
	accepted := 0
	for e.Problem(large) == "" {
		accepted++
	}
	if accepted < 4 || accepted > maxBudget/1500 {
		t.Errorf("%d large expressions are accepted", accepted)
	}
	check(t, "the next", e.Problem("a"), "not looked at")
	check(t, "of another object", new(Expressions).Problem("a"), "")
}

// TestRefusedExpressionsCount: an object cannot have thousands of huge expressions parsed.
func TestRefusedExpressionsCount(t *testing.T) {
	for _, expression := range []string{strings.Repeat("x{1000}", 585), strings.Repeat(`\pL`, 1365) + "("} {
		var e Expressions
		looked := 0
		for !strings.Contains(e.Problem(expression), "not looked at") {
			looked++
		}
		if looked > 3 {
			t.Errorf("%.10s: %d are looked at", expression, looked)
		}
	}
}

func FuzzInstructions(f *testing.F) {
	for _, expression := range []string{"", "a", "abc|abd|x", "(a*)*", "(a?){3,5}", "(?i)k{2,}", `\pL+[^a]`, "((a{3}){4}){5}", "(|a)*?", "^(?m:$)\\b.", "(?:)?", "a{0}", "a{0,}"} {
		f.Add(expression)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		tree, err := syntax.Parse(expression, syntax.Perl)
		if err != nil {
			return
		}
		n := instructions(tree)
		if n > 100_000 {
			return
		}
		program, err := syntax.Compile(tree.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		if made := len(program.Inst) - 2; n < made { // but for those that every program has: to fail and to match
			t.Errorf("%q: %d instructions, %d expected", expression, made, n)
		}
	})
}
