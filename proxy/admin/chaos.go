package admin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/chaos/report"
	"github.com/breakwater-gateway/breakwater/proxy/toxiproxy"
)

// ControlHeader is the field without which nothing is changed. A page of another origin cannot send it without a preflight request,
// which is never granted.
const ControlHeader = "X-Breakwater-Admin"

// The paths that change something, by POST.
const (
	OffPath    = "/chaos/off"
	OnPath     = "/chaos/on"
	RearmPath  = "/chaos/rearm"
	ForgetPath = "/report/forget"
)

// controls are all paths that change something.
func controls() map[string]bool {
	return map[string]bool{OffPath: true, OnPath: true, RearmPath: true, ForgetPath: true}
}

const chaosIndex = `/chaos        what every experiment does now, and toxics of the API for Toxiproxy's clients (?format=json)
/chaos/log    the latest faults, as JSON lines
/report       what has been injected and what clients saw (?format=table, markdown, junit or json)
POST to /chaos/off, /chaos/on and /chaos/rearm?namespace=NAMESPACE&name=NAME with "` + ControlHeader + `: 1" changes that;
to /report/forget it leaves experiments that have been deleted, and toxics that have been removed, out of the reports to come
`

// handleChaos adds what concerns experiments.
func (e *endpoint) handleChaos(mux *http.ServeMux) {
	if e.Chaos == nil {
		return
	}
	mux.Handle("/chaos", onLoopback(e.chaos))
	mux.Handle("/chaos/log", e.local(e.faults))
	mux.Handle("/report", e.local(e.report))
	mux.Handle(OffPath, e.control(func(w http.ResponseWriter, _ *http.Request) { e.enable(w, false) }))
	mux.Handle(OnPath, e.control(func(w http.ResponseWriter, _ *http.Request) { e.enable(w, true) }))
	mux.Handle(RearmPath, e.control(e.rearm))
	mux.Handle(ForgetPath, e.control(e.forget))
}

// control serves requests that change something, to clients on loopback only, and at once, however busy the endpoint is. The guard has
// seen that they are by POST.
func (e *endpoint) control(next http.HandlerFunc) http.Handler {
	return onLoopback(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(ControlHeader) != "1" {
			text(w, http.StatusForbidden, "the header field \""+ControlHeader+": 1\" is missing\n")
			return
		}
		next(w, r)
	})
}

// Experiment is one row of /chaos?format=json.
type Experiment struct {
	Namespace    string     `json:"namespace"`
	Name         string     `json:"name"`
	Phase        string     `json:"phase"`
	Reason       string     `json:"reason,omitempty"` // why it is halted, invalid or refused
	Guard        *Guard     `json:"guard,omitempty"`
	Until        *time.Time `json:"until,omitempty"` // the end of the window now
	Next         *time.Time `json:"next,omitempty"`  // the start of the next
	Matched      uint64     `json:"matched"`
	Injected     uint64     `json:"injected"`
	SkippedByCap uint64     `json:"skippedByCap"`
	DryRun       uint64     `json:"dryRun"`
}

// Guard is what the guard of an experiment needs before it judges.
type Guard struct {
	MinRequests int     `json:"minRequests"` // fewer in the window prove nothing
	Window      float64 `json:"window"`      // seconds
}

// Experiments is the answer of /chaos?format=json.
type Experiments struct {
	Replica string `json:"replica,omitempty"` // whose answer it is; others may say something else
	Enabled bool   `json:"enabled"`           // no kill switch is used
	// Switches are the kill switches that are used.
	Switches    []chaos.Switch `json:"switches,omitempty"`
	Experiments []Experiment   `json:"experiments"`
	// Toxics are those made through the API for Toxiproxy's clients. None acts unless Enabled.
	Toxics []toxiproxy.Toxic `json:"toxics,omitempty"`
}

func (e *endpoint) chaos(w http.ResponseWriter, r *http.Request) {
	switches := e.Chaos.Switches()
	all := Experiments{Replica: e.Replica, Enabled: len(switches) == 0, Switches: switches, Experiments: []Experiment{}}
	for _, s := range e.Chaos.Status() {
		all.Experiments = append(all.Experiments, glance(&s))
	}
	if e.Toxics != nil {
		all.Toxics = e.Toxics()
	}
	switch format := r.URL.Query().Get("format"); format {
	case "", "text":
		text(w, http.StatusOK, all.String())
	case "json":
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(all) // the client has gone: nobody is left to tell
	default:
		text(w, http.StatusBadRequest, unknownFormat(format))
	}
}

func glance(s *proxy.ExperimentStatus) Experiment {
	x := Experiment{
		Namespace: s.ID.Namespace, Name: s.ID.Name, Phase: s.Phase.String(), Reason: cmp.Or(s.Problem, s.HaltedReason),
		Matched: s.Matched, Injected: s.Injected, SkippedByCap: s.SkippedByCap, DryRun: s.DryRun,
	}
	if s.Guard != nil {
		x.Guard = &Guard{max(s.Guard.MinRequests, 1), s.Guard.Window.Seconds()}
	}
	switch s.Phase {
	case proxy.ExperimentActive, proxy.ExperimentSuspended, proxy.ExperimentOff, proxy.ExperimentHalted:
		if !s.End.IsZero() {
			until := s.End.UTC()
			x.Until = &until
		}
	default:
	}
	if !s.Next.IsZero() {
		next := s.Next.UTC()
		x.Next = &next
	}
	return x
}

// String lays the experiments out for a terminal.
func (all Experiments) String() string {
	var b bytes.Buffer
	if all.Enabled {
		b.WriteString("chaos is on" + in(all.Replica) + "\n")
	} else {
		b.WriteString("chaos is off" + in(all.Replica) + ": " + used(all.Switches) + "\n")
	}
	if len(all.Experiments) == 0 {
		b.WriteString("no experiments\n")
	} else {
		all.writeExperiments(&b)
	}
	if len(all.Toxics) > 0 {
		all.writeToxics(&b)
	}
	return b.String()
}

func (all Experiments) writeExperiments(b *bytes.Buffer) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\nEXPERIMENT\tPHASE\tMATCHED\tINJECTED\tCAPPED\tDRY RUN\tUNTIL (UTC)\n")
	for _, x := range all.Experiments {
		until := "-"
		switch {
		case x.Until != nil:
			until = x.Until.Format(time.DateTime)
		case x.Next != nil:
			until = "from " + x.Next.Format(time.DateTime)
		}
		fmt.Fprintf(w, "%s/%s\t%s\t%d\t%d\t%d\t%d\t%s\n",
			x.Namespace, x.Name, x.Phase, x.Matched, x.Injected, x.SkippedByCap, x.DryRun, until)
	}
	_ = w.Flush() // into memory
	for _, x := range all.Experiments {
		if x.Reason != "" {
			fmt.Fprintf(b, "\n%s/%s: %s\n", x.Namespace, x.Name, line(x.Reason))
		}
		if x.Phase == proxy.ExperimentHalted.String() {
			fmt.Fprintf(b, "  arm it again: breakwater chaos rearm %s/%s\n", x.Namespace, x.Name)
		}
		if x.Guard != nil && x.Phase == proxy.ExperimentActive.String() {
			window := time.Duration(x.Guard.Window * float64(time.Second))
			fmt.Fprintf(b, "\n%s/%s: its guard judges from %d requests in %v on\n", x.Namespace, x.Name, x.Guard.MinRequests, window)
		}
	}
}

// in says in which replica something is so, where there may be several.
func in(replica string) string {
	if replica == "" {
		return ""
	}
	return " in the replica " + replica
}

// used names kill switches and says since when they are used.
func used(switches []chaos.Switch) string {
	var all []string
	for _, s := range switches {
		all = append(all, s.Name+" (since "+s.Since.UTC().Format(time.DateTime)+" UTC)")
	}
	return "switched off by " + strings.Join(all, " and by ")
}

func (all Experiments) writeToxics(b *bytes.Buffer) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\nTOXIC\tTYPE\tATTRIBUTES\tSTREAM\tTOXICITY\n")
	for _, t := range all.Toxics {
		fmt.Fprintf(w, "toxiproxy %s\t%s\t%s\t%s\t%v\n", toxicName(t), t.Type, line(t.AttributesText()), t.Stream, t.Toxicity)
	}
	_ = w.Flush() // into memory
	if !all.Enabled {
		b.WriteString("\nthese toxics do not act while chaos is off\n")
	}
	for _, t := range all.Toxics {
		if t.Idle != "" {
			fmt.Fprintf(b, "\ntoxiproxy %s does not act: %s\n", toxicName(t), line(t.Idle))
		}
	}
}

// longestName bounds the names in a table that clients may choose as they like, in bytes.
const longestName = 100

func toxicName(t toxiproxy.Toxic) string {
	name := line(t.Proxy + "/" + t.Name)
	if len(name) > longestName {
		name = strings.ToValidUTF8(name[:longestName], "") + "..."
	}
	return name
}

func (e *endpoint) faults(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	lines := json.NewEncoder(w)
	for _, f := range e.Chaos.Faults() {
		if lines.Encode(f) != nil {
			return // the client has gone
		}
	}
}

func (e *endpoint) report(w http.ResponseWriter, r *http.Request) {
	format := report.Table
	if s := r.URL.Query().Get("format"); s != "" {
		var err error
		if format, err = report.ParseFormat(s); err != nil {
			text(w, http.StatusBadRequest, err.Error()+"\n")
			return
		}
	}
	what := e.Chaos.Report()
	w.Header().Set("Content-Type", format.ContentType())
	_ = report.Write(w, &what, format, nil) // the client has gone: nobody is left to tell
}

func (e *endpoint) enable(w http.ResponseWriter, on bool) {
	e.Chaos.SetEnabled(on)
	switch others := e.Chaos.Switches(); {
	case !on:
		text(w, http.StatusOK, "chaos is off"+in(e.Replica)+": no experiment and no toxic acts until it is switched on again or the process restarts\n"+
			e.elsewhere())
	case len(others) == 0:
		text(w, http.StatusOK, "chaos is on"+in(e.Replica)+"\n")
	default:
		text(w, http.StatusConflict, "chaos stays off"+in(e.Replica)+": "+used(others)+"\n")
	}
}

// elsewhere says what the kill switch of this replica means for others.
func (e *endpoint) elsewhere() string {
	switch {
	case e.Replica == "":
		return ""
	case e.Switch == "":
		return "other replicas go on\n"
	}
	return "other replicas go on; in all of them " + e.Switch + " switches chaos off\n"
}

func (e *endpoint) rearm(w http.ResponseWriter, r *http.Request) {
	id := proxy.ObjectID{Kind: "NetworkChaos", Namespace: r.URL.Query().Get("namespace"), Name: r.URL.Query().Get("name")}
	if id.Namespace == "" || id.Name == "" {
		text(w, http.StatusBadRequest, "want ?namespace=NAMESPACE&name=NAME\n")
		return
	}
	for _, s := range e.Chaos.Status() {
		if s.ID != id {
			continue
		}
		if e.Chaos.Rearm(id) {
			says := id.Namespace + "/" + id.Name + " is armed again"
			if e.Replica != "" {
				says += ", in all replicas as soon as the cluster knows"
			}
			text(w, http.StatusOK, says+"\n")
		} else {
			says := id.Namespace + "/" + id.Name + " is not halted, it is " + s.Phase.String()
			if s.Problem != "" {
				says += ": " + line(s.Problem)
			}
			text(w, http.StatusConflict, says+"\n")
		}
		return
	}
	text(w, http.StatusNotFound, "there is no experiment "+line(id.Namespace+"/"+id.Name)+"\n")
}

func (e *endpoint) forget(w http.ResponseWriter, _ *http.Request) {
	e.Chaos.ForgetDeleted()
	text(w, http.StatusOK, "experiments that have been deleted and toxics that have been removed are forgotten\n")
}

// line keeps text of others in its line.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}
