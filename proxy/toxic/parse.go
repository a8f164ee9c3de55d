package toxic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// Field binds an attribute, as JSON knows it, to a parameter of a toxic.
type Field struct {
	Name string // Toxiproxy's, where it has one
	// To is where the parameter is: *shape.Value, option, whole, bounded, alias, *bool, *string or *Spread.
	To   any
	Unit Unit // that a number has in JSON
}

// Unit is what the numbers of an attribute are in.
type Unit struct {
	Size float64 // of the parameter's unit; what a number is multiplied by
	Name string  // "" for plain numbers
	Most float64 // that an attribute in it may have, in this unit; some may have less
}

var (
	unitless          = Unit{1, "", math.Inf(1)}
	inMilliseconds    = Unit{1, "ms", maxMilliseconds}
	inMicroseconds    = Unit{1, "µs", maxMilliseconds * 1000}
	inBytes           = Unit{1, "bytes", 1 << 53}
	inKilobytesPerSec = Unit{1000, "KB/s", math.Inf(1)}
)

// option is a number that Attributes leaves out while it is 0.
type option struct{ to *shape.Value }

// whole is a number that JSON gives without a fraction, or as a shape, whose numbers are rounded.
type whole struct{ to *shape.Value }

// bounded is a number of which most is as good as no bound: more is taken as that.
type bounded struct {
	to   *shape.Value
	most float64 // in the parameter's unit
}

// alias is a parameter that has another name too: it is read under both and given under the other.
type alias struct{ to *shape.Value }

// Parse reads a toxic of a type from its JSON attributes, in Toxiproxy's names and units. Attributes that are absent or null keep
// their values in prev, if that is of the same type, and are 0 otherwise; unknown ones are ignored. Numbers that may change over
// time are numbers, or objects such as {"wave": "ramp", "from": 0, "to": 100, "period": 5000} (waves: ramp, step, sine, square;
// the period in milliseconds). Errors begin with the name of the attribute.
func Parse(typ string, attributes json.RawMessage, prev proxy.Toxic) (proxy.Toxic, error) {
	for _, d := range definitions() {
		if d.zero.Type() != typ {
			continue
		}
		sent, given := map[string]json.RawMessage{}, map[string]json.RawMessage{}
		if a := bytes.TrimSpace(attributes); len(a) > 0 {
			if err := json.Unmarshal(a, &sent); err != nil {
				return nil, fmt.Errorf("attributes: %w", err)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(sent)) { // of two that differ in case the one in small letters is the last
			given[strings.ToLower(name)] = sent[name]
		}
		return d.parse(given, prev)
	}
	return nil, fmt.Errorf("type: %q is no toxic", typ)
}

// Attributes returns the parameters of a toxic as Parse reads them: numbers, or maps for what changes over time. Amounts are always
// there, options only if they are not at their default: Toxiproxy's clients do not know them.
func Attributes(t proxy.Toxic) map[string]any {
	for _, d := range definitions() {
		if d.zero.Type() == t.Type() {
			return d.attributes(t)
		}
	}
	return map[string]any{}
}

// definition is one type of toxic.
type definition struct {
	zero       proxy.Toxic
	parse      func(given map[string]json.RawMessage, prev proxy.Toxic) (proxy.Toxic, error)
	attributes func(t proxy.Toxic) map[string]any
}

// define makes the definition of a type of toxic from the list of its parameters.
func define[T interface {
	proxy.Toxic
	Validate() error
}](fields func(*T) []Field) definition {
	var zero T
	return definition{
		zero: zero,
		parse: func(given map[string]json.RawMessage, prev proxy.Toxic) (proxy.Toxic, error) {
			t, _ := prev.(T)
			for _, f := range fields(&t) {
				raw, ok := given[f.Name]
				if !ok || string(raw) == "null" {
					continue
				}
				if err := f.set(raw); err != nil {
					return nil, fmt.Errorf("%s: %w", f.Name, err)
				}
			}
			if err := t.Validate(); err != nil {
				return nil, err
			}
			return t, nil
		},
		attributes: func(toxic proxy.Toxic) map[string]any {
			t, _ := toxic.(T)
			all := map[string]any{}
			for _, f := range fields(&t) {
				if !f.atDefault() {
					all[f.Name] = f.get()
				}
			}
			return all
		},
	}
}

// set reads the parameter from JSON.
func (f Field) set(raw json.RawMessage) error {
	switch to := f.To.(type) {
	case alias:
		return Field{f.Name, to.to, f.Unit}.set(raw)
	case *shape.Value:
		v, err := parseValue(raw, f.Unit.Size)
		switch { // in the unit of who has written it
		case err != nil:
		case v.Min() < 0:
			err = fmt.Errorf("%s is less than 0", clip(raw))
		case v.Max() > f.Unit.Most*f.Unit.Size:
			err = fmt.Errorf("%s is more than %s", clip(raw), strings.TrimSpace(strconv.FormatFloat(f.Unit.Most, 'f', -1, 64)+" "+f.Unit.Name))
		}
		if err == nil {
			*to = v
		}
		return err
	case option:
		return Field{f.Name, to.to, f.Unit}.set(raw)
	case bounded:
		v := shape.Value{}
		err := Field{f.Name, &v, f.Unit}.set(raw)
		if err == nil {
			v.Base, v.To = min(v.Base, to.most), min(v.To, to.most)
			*to.to = v
		}
		return err
	case whole:
		v := shape.Value{}
		err := Field{f.Name, &v, f.Unit}.set(raw)
		if err == nil && !v.Changes() && (v.Base != math.Trunc(v.Base) || v.Base > math.MaxInt32) {
			err = fmt.Errorf("%s is not a whole number in range", raw)
		}
		if err == nil {
			*to.to = v
		}
		return err
	case *bool:
		if json.Unmarshal(raw, to) != nil {
			return fmt.Errorf("%s is not true or false", clip(raw))
		}
	case *string:
		if json.Unmarshal(raw, to) != nil {
			return fmt.Errorf("%s is not a string", clip(raw))
		}
	case *Spread:
		var name string
		if json.Unmarshal(raw, &name) != nil {
			return fmt.Errorf("%s is not a string", clip(raw))
		}
		spread, err := ParseSpread(name)
		if err == nil {
			*to = spread
		}
		return err
	default:
		panic(fmt.Sprintf("toxic: attribute %s has a parameter of type %T", f.Name, f.To))
	}
	return nil
}

// atDefault reports whether the parameter need not be given: it is an option that is not used, or has a better name.
func (f Field) atDefault() bool {
	switch to := f.To.(type) {
	case alias:
		return true
	case option:
		return *to.to == shape.Value{}
	case *bool:
		return !*to
	case *string:
		return *to == ""
	case *Spread:
		return *to == 0
	default:
		return false
	}
}

// get returns the parameter for JSON.
func (f Field) get() any {
	switch to := f.To.(type) {
	case *shape.Value:
		return valueAttribute(*to, f.Unit.Size)
	case option:
		return valueAttribute(*to.to, f.Unit.Size)
	case whole:
		return valueAttribute(*to.to, f.Unit.Size)
	case bounded:
		return valueAttribute(*to.to, f.Unit.Size)
	case *bool:
		return *to
	case *string:
		return *to
	case *Spread:
		return to.String()
	default:
		panic(fmt.Sprintf("toxic: attribute %s has a parameter of type %T", f.Name, f.To))
	}
}

func parseNumber(raw json.RawMessage) (float64, error) {
	var n float64
	if err := json.Unmarshal(raw, &n); err != nil {
		return 0, fmt.Errorf("%s is not a number", clip(raw))
	}
	return n, nil
}

// waves are the names of shapes over time, by shape.Wave.
var waves = [...]string{"constant", "ramp", "step", "sine", "square"}

func parseValue(raw json.RawMessage, unit float64) (shape.Value, error) {
	if len(raw) == 0 || raw[0] != '{' {
		n, err := parseNumber(raw)
		return shape.Const(n * unit), err
	}
	var given struct {
		Wave             string
		From, To, Period float64
	}
	if err := json.Unmarshal(raw, &given); err != nil {
		return shape.Value{}, fmt.Errorf("%s is not a number, or an object with wave, from, to and period", clip(raw))
	}
	for i, name := range waves {
		if name != given.Wave {
			continue
		}
		if shape.Wave(i) == shape.Constant {
			return shape.Const(given.From * unit), nil
		}
		if !(given.Period > 0 && given.Period <= maxMilliseconds) {
			return shape.Value{}, fmt.Errorf("period %v is not above 0 ms, up to a year", given.Period)
		}
		period := max(1, milliseconds(given.Period))
		return shape.Value{Wave: shape.Wave(i), Base: given.From * unit, To: given.To * unit, Period: period}, nil
	}
	return shape.Value{}, fmt.Errorf("%q is no wave: %v", given.Wave, waves[1:])
}

func valueAttribute(v shape.Value, unit float64) any {
	if v.Wave == shape.Constant {
		return v.Base / unit
	}
	return map[string]any{
		"wave": waves[min(int(v.Wave), len(waves)-1)], "from": v.Base / unit, "to": v.To / unit,
		"period": float64(v.Period) / float64(time.Millisecond),
	}
}

// maxMilliseconds is the longest time that a parameter can give.
const maxMilliseconds = float64(longest / time.Millisecond)

// clip shortens what an error quotes.
func clip(raw json.RawMessage) string {
	const most = 40
	if len(raw) > most {
		return string(raw[:most]) + "..."
	}
	return string(raw)
}
