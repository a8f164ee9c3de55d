package translate

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// writeExperiment writes an Experiment: a line for what it is, one for each target, match, bound and toxic.
func writeExperiment(w io.Writer, x *proxy.Experiment) {
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
	line("experiment %s at=%s percent=%v seed=%d", x.ID, x.At, numberText(x.Percent), x.Seed)
	for _, flag := range [...]struct {
		name string
		set  bool
	}{{"suspended", x.Suspend}, {"dry-run", x.DryRun}, {"halted", x.Halted}} {
		if flag.set {
			line(" %s", flag.name)
		}
	}
	if x.MaxPercent != 0 {
		line(" max-percent=%v", x.MaxPercent)
	}
	line("\n  window %s\n", windowText(&x.Window))
	for _, t := range x.Targets {
		line("  target %s\n", proxy.ListenerID(t))
	}
	if len(x.Spared) > 0 {
		line("  spared %s\n", strings.Join(x.Spared, ", "))
	}
	for i := range x.Matches {
		line("  match %s\n", matchText(&x.Matches[i]))
	}
	if e := x.Endpoints; e.Count != 0 || e.Percent != 0 || e.Zone != "" || e.Pods != nil {
		line("  endpoints count=%d percent=%v zone=%s pods=%v\n", e.Count, e.Percent, text(e.Zone), slices.Sorted(maps.Keys(e.Pods)))
	}
	if x.OrdinalKey != (proxy.Key{}) {
		line("  decide by %s\n", keyText(x.OrdinalKey))
	}
	if g := x.Guard; g != nil {
		line("  guard %+v\n", *g)
	}
	if t := x.Token; t != nil {
		line("  token header=%s cookie=%s baggage=%s secret of %d bytes\n", text(t.Header), text(t.Cookie), text(t.Baggage), len(t.Secret))
	}
	for _, t := range x.Toxics {
		line("  toxic %s %s %s %T%+v\n", t.Name, t.Direction, numberText(t.Toxicity), t.Toxic, t.Toxic)
	}
	for _, s := range x.Sequence {
		line("  step %d of %s: %s\n", s.Count, keyText(x.SequenceKey), text(strings.Join(s.Toxics, ",")))
	}
}

// numberText writes what does not change over time as a plain number.
func numberText(v shape.Value) string {
	if !v.Changes() {
		return fmt.Sprint(v.Base)
	}
	return fmt.Sprintf("%+v", v)
}

func windowText(w *proxy.Window) string {
	if w.Schedule != "" {
		return fmt.Sprintf("%q %s for %s", w.Schedule, text(w.TimeZone), w.Duration)
	}
	return fmt.Sprintf("%s for %s", w.Start.UTC().Format(time.RFC3339), w.Duration)
}

func keyText(k proxy.Key) string {
	return [...]string{"all", "client IP", "header " + k.Name, "cookie " + k.Name}[k.Type]
}
