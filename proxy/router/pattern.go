package router

import (
	"fmt"
	"regexp"
	"regexp/syntax"
)

// pattern is a regular expression that must match a whole value.
type pattern struct {
	regexp  *regexp.Regexp
	longest bool // regexp is not anchored but finds the longest match
}

// patterns are the expressions that have been compiled for one Table, or one Matcher: many Hosts have the same ones.
type patterns map[string]*pattern

// compile compiles an expression that has not been compiled yet.
func (p patterns) compile(expression string) (*pattern, error) {
	if known := p[expression]; known != nil {
		return known, nil
	}
	compiled, err := compilePattern(expression)
	if err == nil {
		p[expression] = compiled
	}
	return compiled, err
}

// compilePattern takes whatever package regexp takes, so that an expression which was checked with that package before
// it came here cannot make Compile fail.
func compilePattern(expression string) (*pattern, error) {
	// Parsed by itself first, so that it cannot close the group between the anchors: "a)|(b".
	if _, err := syntax.Parse(expression, syntax.Perl); err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", expression, err)
	}
	if re, err := regexp.Compile(`\A(?:` + expression + `)\z`); err == nil {
		return &pattern{regexp: re}, nil
	}
	// A few expressions bear no anchors: "\Qa" quotes up to the end, and some stand at the limit of size or depth.
	re, err := regexp.Compile(expression)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", expression, err)
	}
	re.Longest()
	return &pattern{regexp: re, longest: true}, nil
}

func (p *pattern) match(value []byte) bool {
	if !p.longest {
		return p.regexp.Match(value)
	}
	at := p.regexp.FindIndex(value)
	return at != nil && at[0] == 0 && at[1] == len(value)
}
