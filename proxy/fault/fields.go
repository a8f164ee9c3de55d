package fault

import (
	"fmt"
	"strings"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/field"
)

// Fields is a list of header field lines, "Name: value" each, with a line feed between two. It is text so that faults stay
// comparable. Fields that frame the message or belong to one connection cannot be in it.
type Fields string

// With returns f with one more line. What cannot stand in one makes Validate fail.
func (f Fields) With(name, value string) Fields {
	if f != "" {
		f += "\n"
	}
	return f + Fields(oneLine.Replace(strings.ReplaceAll(name, ":", "\x00"))+": "+oneLine.Replace(value))
}

// oneLine replaces what would end a line or the name by what no field may contain.
var oneLine = strings.NewReplacer("\n", "\x00")

// Names is a list of header field names with commas between them.
type Names string

// With returns n with one more name.
func (n Names) With(name string) Names {
	if n != "" {
		n += ","
	}
	return n + Names(strings.ReplaceAll(name, ",", "\x00"))
}

// each calls yield with every line's name and value.
func (f Fields) each(yield func(name, value string) bool) {
	if f == "" {
		return
	}
	for line := range strings.SplitSeq(string(f), "\n") {
		name, value, _ := strings.Cut(line, ":")
		if !yield(name, strings.TrimPrefix(value, " ")) {
			return
		}
	}
}

func (n Names) each(yield func(name string) bool) {
	if n == "" {
		return
	}
	for name := range strings.SplitSeq(string(n), ",") {
		if !yield(strings.TrimSpace(name)) {
			return
		}
	}
}

// list returns the lines as they stand in a message.
func (f Fields) list() []proxy.Field {
	var fields []proxy.Field
	for name, value := range f.each {
		fields = append(fields, proxy.Field{Name: []byte(name), Value: []byte(value)})
	}
	return fields
}

func (f Fields) has(name string) bool {
	for n := range f.each {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

func (f Fields) validate(attribute string) error {
	for name, value := range f.each {
		if err := validName(attribute, name); err != nil {
			return err
		}
		if !field.IsValue(value) {
			return fmt.Errorf("%s: %q is no value for the field %q", attribute, value, name)
		}
	}
	return nil
}

func (n Names) validate(attribute string) error {
	for name := range n.each {
		if err := validName(attribute, name); err != nil {
			return err
		}
	}
	return nil
}

func validName(attribute, name string) error {
	switch {
	case !field.IsName(name):
		return fmt.Errorf("%s: %q is not a field name", attribute, name)
	case field.IsReserved(strings.ToLower(name)):
		return fmt.Errorf("%s: the field %q belongs to the proxy and cannot be changed", attribute, name)
	}
	return nil
}
