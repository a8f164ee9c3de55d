package syntax

import (
	"errors"
	"fmt"
	"regexp/syntax"
)

// What regular expressions may cost. Memory, and the time that a match takes per character of the value, grow with the number of
// instructions; "(x{1000}){...}" is short and has any number of them.
const (
	maxExpression   = 4096   // characters
	maxInstructions = 2000   // of one expression: a match of 400 characters takes 20 ms at the very worst
	maxBudget       = 10_000 // of all expressions of an object
)

// Expressions checks the regular expressions of one object, which share a budget. The zero value has all of it.
type Expressions struct{ spent int }

// ExpressionProblem checks a regular expression (RE2) by itself.
func ExpressionProblem(expression string) string { return new(Expressions).Problem(expression) }

// Problem checks a regular expression (RE2) of the object. One that is refused counts as well, so that an object cannot have
// any number of them looked at.
func (e *Expressions) Problem(expression string) string {
	if len(expression) > maxExpression {
		return "is longer than 4096 characters"
	}
	if e.spent > maxBudget {
		return fmt.Sprintf("is not looked at: the regular expressions before it have more than the %d instructions that those of one object may have", maxBudget)
	}
	tree, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		e.spent += len(expression)
		if problem, ok := errors.AsType[*syntax.Error](err); ok {
			return "is not a regular expression: " + problem.Code.String()
		}
		return "is not a regular expression"
	}
	n := instructions(tree)
	e.spent += max(n, len(expression))
	switch {
	case n > maxInstructions:
		return fmt.Sprintf("is too large a regular expression: it has about %d instructions, and may have %d", n, maxInstructions)
	case e.spent > maxBudget:
		return fmt.Sprintf("is a regular expression too many: with it those of the object have more than %d instructions", maxBudget)
	}
	return ""
}

// runesPerInstruction is how many bounds of a character class take the memory of an instruction: \pL has 1,300.
const runesPerInstruction = 10

// instructions returns about how many instructions package regexp makes of an expression, and at least as many. It does not make
// them: an expression of a few characters can have millions.
func instructions(e *syntax.Regexp) int {
	n := 0
	for _, sub := range e.Sub {
		n += instructions(sub)
	}
	switch e.Op {
	case syntax.OpLiteral:
		return len(e.Rune)
	case syntax.OpCharClass:
		return 1 + len(e.Rune)/runesPerInstruction
	case syntax.OpConcat:
		return n
	case syntax.OpAlternate:
		return n + len(e.Sub) // one to choose before each but the last
	case syntax.OpCapture:
		return n + 2 // where it begins and where it ends
	case syntax.OpRepeat:
		if e.Max < 0 {
			return n*max(e.Min, 1) + 2 // "x{2,}" is xx+
		}
		return 1 + n*e.Min + (n+1)*(e.Max-e.Min) // "x{2,4}" is xx(x(x)?)?
	default:
		return n + 2 // "(x*)*" is ((x+)?)*
	}
}
