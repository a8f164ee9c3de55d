package filter

import (
	"strconv"
	"strings"
	"unicode"
)

// setting is one field of a value, for Describe.
type setting struct {
	name, value string // value is what text, number, words, fields or describeAll return; "" is not set
}

// describe returns the text of a kind of filter and those of its settings that are set.
func describe(kind string, settings ...setting) string {
	return strings.TrimSuffix(kind+" "+describeAll(settings...), " ")
}

// describeAll returns those settings that are set, as name=value.
func describeAll(settings ...setting) string {
	var all []string
	for _, s := range settings {
		if s.value != "" {
			all = append(all, s.name+"="+s.value)
		}
	}
	return strings.Join(all, " ")
}

// text is the value of a text that is not set if it is empty.
func text(s string) string {
	if s == "" {
		return ""
	}
	return word(s)
}

// number is the value of a number that is not set if it is 0.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// words is the value of a list of texts.
func words(list []string) string {
	if len(list) == 0 {
		return ""
	}
	all := make([]string, len(list))
	for i, s := range list {
		all[i] = word(s)
	}
	return "[" + strings.Join(all, " ") + "]"
}

// fields is the value of a list of header fields.
func fields(list []Field) string {
	if len(list) == 0 {
		return ""
	}
	all := make([]string, len(list))
	for i, f := range list {
		all[i] = "{" + describeAll(setting{"name", text(f.Name)}, setting{"value", text(f.Value)}) + "}"
	}
	return "[" + strings.Join(all, " ") + "]"
}

// word quotes s unless it is one word that can be told from what is around it, and can neither forge a line nor steer a terminal:
// tenants write these values, and operators read them.
func word(s string) string {
	isUnprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	if s == "" || strings.ContainsAny(s, ` ={}[]"`) || strings.ContainsFunc(s, isUnprintable) {
		return strconv.Quote(s)
	}
	return s
}
