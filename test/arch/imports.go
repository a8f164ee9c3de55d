package arch

import (
	"fmt"
	"slices"
	"strings"
)

// Imports holds the rules that CheckImports applies.
type Imports struct {
	Rules      []ImportRule
	Siblings   []Siblings
	Exceptions []Exception
}

// CheckImports returns a sentence for each import that breaks a rule and for each exception without use.
func (r Imports) CheckImports(packages []Package) []string {
	var found []string
	rules := slices.Concat(r.Rules, siblingRules(r.Siblings))
	used := make([]bool, len(r.Exceptions))
	for _, p := range packages {
		for _, rule := range rules {
			if !matchAny(rule.From, p.Path) {
				continue
			}
			for _, to := range rule.breaches(p) {
				i := slices.IndexFunc(r.Exceptions, func(e Exception) bool { return e.From == p.Path && e.To == to })
				if i >= 0 {
					used[i] = true
					continue
				}
				found = append(found, fmt.Sprintf("%s imports %s: %s", p.Path, to, rule.Reason))
			}
		}
	}
	for i, e := range r.Exceptions {
		if !used[i] {
			found = append(found, fmt.Sprintf("the exception for %s to import %s is of no use: remove it", e.From, e.To))
		}
	}
	return found
}

// siblingRules writes siblings as import rules.
func siblingRules(all []Siblings) []ImportRule {
	var rules []ImportRule
	for _, s := range all {
		for _, name := range s.Names {
			rule := ImportRule{From: []string{s.Parent + "/" + name + "/..."}, Reason: s.Reason}
			for _, other := range s.Names {
				if other != name {
					rule.Forbidden = append(rule.Forbidden, s.Parent+"/"+other+"/...")
				}
			}
			rules = append(rules, rule)
		}
	}
	return rules
}

// breaches returns the imports of p that rule forbids, each once.
func (rule ImportRule) breaches(p Package) []string {
	imports := slices.Clone(p.Imports)
	if rule.Deep {
		imports = append(imports, p.Dependencies...)
	}
	if rule.Tests {
		imports = append(imports, p.TestImports...)
	}
	slices.Sort(imports)
	var found []string
	for _, to := range slices.Compact(imports) {
		if matchAny(rule.Forbidden, to) && !matchAny(rule.Allowed, to) && to != p.Path {
			found = append(found, to)
		}
	}
	return found
}

func matchAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return match(pattern, path) })
}

func match(pattern, path string) bool {
	if pattern == "!std" {
		return !isStandard(path)
	}
	if parent, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == parent || strings.HasPrefix(path, parent+"/")
	}
	return path == pattern
}

// ownRoots are the first elements of this module's package paths, which look like the standard library's.
var ownRoots = []string{".", "api", "cmd", "controllers", "proxy", "test"}

// isStandard tells packages of the standard library, whose first element has no dot.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && !slices.Contains(ownRoots, first)
}
