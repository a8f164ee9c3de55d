package view

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// reword returns what the library of schemas says of a value, with the value, and in the words of whoever wrote it. An empty text
// says nothing that other faults of the same field do not.
func reword(object map[string]any, f fieldFault) string {
	if strings.Contains(f.reason, "must validate a") || strings.HasPrefix(f.reason, "Checked value must be") {
		return ""
	}
	value, ok := valueAt(object, f.field)
	if !ok || f.field == "" {
		return f.reason
	}
	text := textOf(value)
	switch {
	case strings.HasPrefix(f.reason, "should match '"+durationPattern):
		return text + " is not a duration such as 1h30m (units h, m, s, ms, us)"
	case strings.HasPrefix(f.reason, "should match '") && (strings.Contains(f.reason, bytesUnits) || strings.Contains(f.reason, quantityUnits)),
		f.reason == `must be of type integer: "number"` && isBytes(f.field):
		if strings.HasSuffix(f.field, ".rate") {
			return text + " is not a number of bytes per second such as 500k, 1M or 1Mi"
		}
		return text + " is not a number of bytes such as 500k, 1M or 1Mi"
	case f.reason == `must be of type string: "number"` && isDuration(f.field):
		if f.field == "spec.duration" {
			return fmt.Sprintf("%s has no unit: write %ss or %sm", text, text, text)
		}
		return fmt.Sprintf("%s has no unit: write %sms or %ss", text, text, text)
	case strings.HasPrefix(f.reason, "should be one of ["):
		return text + " " + oneOf(value, f.reason)
	case strings.HasPrefix(f.reason, "should "):
		return text + " " + f.reason
	case strings.HasPrefix(f.reason, "must be of type"):
		reason, _, _ := strings.Cut(f.reason, ":") // what it is instead is seen
		return text + " " + reason
	}
	return f.reason
}

// oneOf shortens "should be one of [A B]" to the value that is likely to be meant if there are many.
func oneOf(value any, reason string) string {
	const many = 8
	_, names, _ := strings.Cut(strings.TrimSuffix(reason, "]"), "[")
	values := strings.Fields(names)
	text, ok := value.(string)
	if !ok || len(values) < many {
		return reason
	}
	meant := slices.MinFunc(values, func(a, b string) int { return cmp.Compare(typos(text, a), typos(text, b)) })
	if typos(text, meant) > len(text)/3 {
		return reason
	}
	return fmt.Sprintf("is none of the %d values: is %s meant?", len(values), meant)
}

// typos returns how many letters must be inserted, left out or replaced to make one text of another, whatever their case.
func typos(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1) // of the prefix of a, for each prefix of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal, row[j+1] = row[j+1], min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Parts of the patterns of the API's durations and bytes (api/v1alpha1), and of what Kubernetes takes for a quantity.
const (
	durationPattern = `^([0-9]{1,5}(\.[0-9]{1,6})?(h|m|s|ms|us))`
	bytesUnits      = `([kMGT]|[KMGT]i)?$`
	quantityUnits   = `[numkMGTPE]`
)

// isDuration and isBytes tell fields of NetworkChaos by their names.
func isDuration(field string) bool {
	switch field[strings.LastIndexByte(field, '.')+1:] {
	case "duration", "latency", "jitter", "delay", "timeout", "at", "every", "rtt", "rtoMin", "within", "window", "maxLatency", "period":
		return true
	}
	return false
}

func isBytes(field string) bool {
	switch field[strings.LastIndexByte(field, '.')+1:] {
	case "rate", "bytes", "everyBytes", "averageSize", "sizeVariation", "queue":
		return true
	}
	return false
}

// textOf returns a value as a person would write it, cut to what fits in a message.
func textOf(value any) string {
	const most = 100 // characters
	text := ""
	switch v := value.(type) {
	case string:
		text = strconv.Quote(v)
	case float64:
		text = strconv.FormatFloat(v, 'f', -1, 64)
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	default:
		text = fmt.Sprint(v)
	}
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// valueAt returns what a path leads to.
func valueAt(value any, field string) (any, bool) {
	for rest := path(field); rest != ""; {
		switch v := value.(type) {
		case []any:
			i, after, ok := rest.index()
			if !ok || i >= len(v) {
				return nil, false
			}
			value, rest = v[i], after
		case map[string]any:
			name, after := rest.name(func(name string) bool { _, ok := v[name]; return ok })
			member, ok := v[name]
			if !ok {
				return nil, false
			}
			value, rest = member, after
		default:
			return nil, false
		}
	}
	return value, true
}
