// Package arch holds the rules of the architecture as data and the test that enforces them: who may import whom, and a
// few rules on source text that no linter knows. Each rule carries its reason, which is what a failing test prints.
//
// A wanted exception is a line in Exceptions with a reason of its own; an exception that nothing needs fails the test.
package arch
