package chaos

import (
	"time"
)

// Report is what was injected and what clients saw, for each Experiment that this process has had: those of the Snapshot in its
// order, then the latest of those that have left it. Behind them each owner of Manuals has a part, as if it were an Experiment.
type Report struct {
	Time        time.Time          `json:"time"`
	Enabled     bool               `json:"enabled"` // no kill switch is used
	Dropped     uint64             `json:"droppedFaults"`
	Experiments []ExperimentReport `json:"experiments"`
	// Cut are the connections that the API for Toxiproxy's clients has closed itself. Those of proxies that have had toxics are among
	// what these say of clients, too.
	Cut []CutReport `json:"cut,omitempty"`
}

// ExperimentReport is the part of one Experiment, or of one owner of Manuals: its Kind is ManualKind then, it has no Namespace, and its
// Phase is Active, Off, or Removed when it has no toxics now. Durations are in seconds.
type ExperimentReport struct {
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"` // "" for the owners of Manuals that there is no room for, together
	UID        string `json:"uid,omitempty"`
	Phase      string `json:"phase"`
	Problem    string `json:"problem,omitempty"`
	Deleted    bool   `json:"deleted,omitempty"`
	DryRunOnly bool   `json:"dryRunOnly,omitempty"` // it is a dry run now
	// NeverActed: nothing could get a fault so far, because its time has not come, or it was Missed, suspended, switched off or a dry run
	// all the time.
	NeverActed bool   `json:"neverActed,omitempty"`
	Missed     bool   `json:"missed,omitempty"` // its time was over when this process got it, and it is not suspended
	At         string `json:"at,omitempty"`     // Client or Backend; "" for Manuals, and for what was refused before it was ever accepted
	// Start is that of the first window in which it acted, or rehearsed: all counts are of the time since then, whatever windows a Schedule
	// or a change of the object has made since. If it has done neither, Start is that of the window now or of the last one, nil before that.
	Start *time.Time `json:"start,omitempty"`
	// Deadline is that of the window now, or of the last one; nil before the first. Manuals have none.
	Deadline *time.Time `json:"deadline,omitempty"`
	// End is when it ceased to act, or to rehearse, for whatever reason; nil if it goes on, or has done neither.
	End          *time.Time    `json:"end,omitempty"`
	Halts        uint64        `json:"halts"`
	HaltedReason string        `json:"haltedReason,omitempty"`
	Matched      uint64        `json:"matched"`
	Injected     uint64        `json:"injected"`
	SkippedByCap uint64        `json:"skippedByCap"`
	DryRun       uint64        `json:"dryRun"`
	Toxics       []ToxicReport `json:"toxics"`
	// Of the targets' traffic while the Experiment was active: what got a fault, of any Experiment, and what got none.
	InjectedTraffic   TrafficReport `json:"injectedTraffic"`
	UninjectedTraffic TrafficReport `json:"uninjectedTraffic"`
}

// ToxicReport is what one toxic has done.
type ToxicReport struct {
	Name    string    `json:"name"` // "" for the Manuals that there is no room for, together
	Type    string    `json:"type"`
	Decided uint64    `json:"decided"` // requests or connections that were to get it
	Applied uint64    `json:"applied"` // that got it: an earlier fault may have ended them
	Ended   uint64    `json:"ended"`   // connections that it has ended, with RST or in an orderly way
	Bytes   int64     `json:"bytes"`   // that came to it, for toxics of bytes and datagrams and faults of bodies
	Delay   Quantiles `json:"delay"`   // of requests; of connections the longest of each time that they had it
	// Manual is nil but for Manuals.
	Manual *ManualReport `json:"manual,omitempty"`
}

// ManualReport is what there is to say of a Manual beside its numbers. A change of a toxic decides, and counts, anew for the
// connections that are open.
type ManualReport struct {
	Stream     string  `json:"stream"`
	Attributes string  `json:"attributes"` // the latest
	Toxicity   float64 `json:"toxicity"`   // the latest
	Changes    uint64  `json:"changes"`    // of the two
	Removed    bool    `json:"removed"`    // it is not in force now
	Matched    uint64  `json:"matched"`    // connections that have met it, of which Toxicity has chosen some
}

// TrafficReport is what clients saw.
type TrafficReport struct {
	Requests        uint64            `json:"requests"`
	Connections     uint64            `json:"connections"` // that were passed on as they are
	Failed          uint64            `json:"failed"`      // as for Guards: no answer or not all of it, 5xx, no Endpoint reached, cut by a toxic
	Status          map[string]uint64 `json:"status"`      // requests by class: "2xx", ..., "none"
	Latency         Quantiles         `json:"latency"`     // to the end of the response; of connections, to the first of an answer
	UpstreamBytes   int64             `json:"upstreamBytes"`
	DownstreamBytes int64             `json:"downstreamBytes"`
	Retries         uint64            `json:"retries"`
}

// Quantiles of durations, in seconds, to within an eighth; Max is exact.
type Quantiles struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// ForgetDeleted leaves the Experiments that have left the Snapshot, the Manuals that have been ended and the connections that have been
// cut out of the Reports to come. An owner of Manuals that has had such, and others, begins anew with these.
func (e *Engine) ForgetDeleted() {
	e.ledger.forget()
	e.cuts.forget()
	e.mu.Lock()
	defer e.unlock()
	e.retired = nil
}

// Report says what has been injected and what clients have seen.
func (e *Engine) Report() Report {
	e.mu.Lock()
	defer e.unlock()
	r := Report{
		Time: e.cfg.Now().UTC(), Enabled: !e.off(), Dropped: e.log.dropped.Load(), Experiments: []ExperimentReport{},
		Cut: e.cuts.report(),
	}
	for _, x := range e.order {
		r.Experiments = append(r.Experiments, x.report())
	}
	for _, x := range e.retired {
		r.Experiments = append(r.Experiments, x.report())
	}
	r.Experiments = append(r.Experiments, e.ledger.report(e.off())...)
	return r
}

// report makes the part of one experiment. Engine.mu is held.
func (x *experiment) report() ExperimentReport {
	s := x.status()
	r := ExperimentReport{
		Kind: s.ID.Kind, Namespace: s.ID.Namespace, Name: s.ID.Name, UID: s.UID, Phase: s.Phase.String(), Problem: s.Problem,
		Deleted: x.deleted, DryRunOnly: x.cfg.DryRun, NeverActed: !x.acted,
		Missed: x.window.over && !x.opened && !x.cfg.Suspend, Halts: s.Halts, HaltedReason: s.HaltedReason,
		Matched: s.Matched, Injected: s.Injected, SkippedByCap: s.SkippedByCap, DryRun: s.DryRun, Toxics: []ToxicReport{},
		UninjectedTraffic: x.clients[0].report(), InjectedTraffic: x.clients[1].report(),
	}
	if x.accepted {
		r.At = x.cfg.At.String()
	}
	if x.deleted {
		r.Phase = "Deleted"
	}
	if !s.Start.IsZero() {
		r.Start, r.Deadline = &s.Start, &s.End
	}
	if start, end := x.span(); start != nil {
		r.Start, r.End = start, end
	}
	for _, t := range x.toxics.all() {
		r.Toxics = append(r.Toxics, t.report())
	}
	return r
}

func (s *toxicStats) report() ToxicReport {
	return ToxicReport{
		Name: s.name, Type: s.typ, Decided: s.decided.Load(), Applied: s.applied.Load(), Ended: s.ended.Load(), Bytes: s.bytes.Load(),
		Delay: s.delay.report(),
	}
}

// classes are the names of clientStats.classes.
var classes = [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}

func (s *clientStats) report() TrafficReport {
	r := TrafficReport{
		Connections: s.streams.Load(), Failed: s.failed.Load(), Status: map[string]uint64{}, Latency: s.latency.report(),
		UpstreamBytes: s.upstream.Load(), DownstreamBytes: s.downstream.Load(), Retries: s.retries.Load(),
	}
	for i, name := range classes {
		if n := s.classes[i].Load(); n > 0 {
			r.Status[name] = n
			r.Requests += n
		}
	}
	return r
}

func (h *histogram) report() Quantiles {
	q := h.quantiles(0.5, 0.9, 0.99)
	return Quantiles{
		Count: h.count(), P50: q[0].Seconds(), P90: q[1].Seconds(), P99: q[2].Seconds(),
		Max: time.Duration(h.longest.Load()).Seconds(),
	}
}
