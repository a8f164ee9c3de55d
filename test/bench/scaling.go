package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/test/bench/load"
	"github.com/breakwater-gateway/breakwater/test/bench/measure"
	"github.com/breakwater-gateway/breakwater/test/bench/peer"
	"github.com/breakwater-gateway/breakwater/test/bench/report"
	"github.com/breakwater-gateway/breakwater/test/bench/scale"
)

const (
	// startLimit is how long a process may take to serve its last route.
	startLimit = 2 * time.Minute
	// editBudget is the time after which no more edits of one kind are made.
	editBudget = time.Minute
	// editPause separates edits by more than the time over which changes are coalesced, so that each is one on its own.
	editPause = 120 * time.Millisecond
)

// scaled is one proxy with one number of routes.
type scaled struct {
	set     *scale.Set // nil if it is no breakwater: it is not edited
	site    peer.Site
	process *peer.Process
	report.Scale
}

// measureScale measures every breakwater with every number of routes, and of Services that grow with them: start, memory and
// edits one after the other, then the cost of requests in interleaved rounds. Beside it stands nginx with as many servers and
// upstreams, without edits. What only the number of routes costs is measured by measureRoutes.
func (s *session) measureScale(ctx context.Context) error {
	if !s.wantsPart(partScale) {
		return nil
	}
	second, err := s.startBackend(ctx, "b", "")
	if err != nil {
		return err
	}
	var all []*scaled
	defer func() {
		for _, one := range all {
			s.stop(one.process)
		}
	}()
	for _, p := range s.peers {
		for _, hosts := range s.scales {
			if !takesMany(p) {
				continue
			}
			layout := scale.Layout{Hosts: hosts, PerService: s.perService, PerFile: s.perFile, Endpoints: [2]string{s.backend, second}}
			one, err := s.startScaled(ctx, p, p.Name+"-"+strconv.Itoa(hosts), layout)
			if one != nil && one.process != nil {
				all = append(all, one)
			}
			if err == nil && one.set != nil {
				err = s.measureEdits(ctx, one)
			}
			if err != nil {
				if err := s.leaveOut(ctx, fmt.Sprintf("%s, %d hosts", p.Name, hosts), err); err != nil {
					return err
				}
			}
		}
	}
	if err := s.measureRandomHosts(ctx, all); err != nil {
		return err
	}
	for _, one := range all {
		s.report.Scale = append(s.report.Scale, one.Scale)
	}
	return nil
}

// takesMany tells whether a peer can be given many hosts.
func takesMany(p peer.Peer) bool { return p.CommandLine != "" || p.PrepareMany != nil }

// meaningOf says what a proxy with a layout is made of, for a reader of its figures.
func meaningOf(p peer.Peer, layout scale.Layout) string {
	routes, service := "Ingresses of one host and one route each", "Service"
	if p.CommandLine == "" {
		routes, service = "servers of one name and one location each", "upstream"
	}
	if layout.Services() == 1 {
		return fmt.Sprintf("%d %s, all with the same %s", layout.Hosts, routes, service)
	}
	return fmt.Sprintf("%d %s; every %d of them share one %s, which makes %d, each with upstream connections of its own to the same endpoint",
		layout.Hosts, routes, layout.PerService, service, layout.Services())
}

// startScaled writes a configuration, starts a proxy on it and waits until its last host answers. It returns the process
// even with an error.
func (s *session) startScaled(ctx context.Context, p peer.Peer, name string, layout scale.Layout) (*scaled, error) {
	site, err := s.site(name)
	if err != nil {
		return nil, err
	}
	one := &scaled{site: site}
	one.Scale = report.Scale{
		Peer: p.Name, Meaning: meaningOf(p, layout), Hosts: layout.Hosts, Services: layout.Services(),
		Requests: report.Row{Peer: name}, Few: report.Row{Peer: name},
	}
	command, err := one.prepare(p, layout)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if one.process, err = s.start(name, command); err != nil {
		return one, err
	}
	err = one.process.Ready(ctx, startLimit, func(ctx context.Context) error {
		_, err := peer.Get(ctx, site.Listen, scale.Host(layout.Hosts-1), scale.Path)
		return err
	})
	if err != nil {
		return one, err
	}
	one.Live = millis(time.Since(begin))
	if err := pause(ctx, settleBefore); err != nil {
		return one, err
	}
	memory, err := measure.PSS(one.process.PID())
	if err != nil {
		return one, err
	}
	one.Memory = kib(memory)
	one.Start = inMillis(exported(ctx, one.site).Since(nil))
	s.progress("%s: live after %.0f ms, %.0f KiB", name, one.Live, one.Memory)
	return one, nil
}

// prepare writes the configuration of a layout and says how to start on it.
func (o *scaled) prepare(p peer.Peer, layout scale.Layout) (command peer.Command, err error) {
	if p.CommandLine == "" {
		many := peer.Hosts{Path: scale.Path, PerBackend: layout.PerService}
		for i := range layout.Hosts {
			many.Names = append(many.Names, scale.Host(i))
		}
		return p.PrepareMany(o.site, many)
	}
	o.Files = layout.Files()
	if o.set, err = scale.Write(layout, filepath.Join(o.site.Dir, "manifests")); err != nil {
		return command, err
	}
	return peer.Serve(p.CommandLine, o.set.Dir(), o.site)
}

// exported reads what the process of a site exports about its work; nothing if it exports nothing.
func exported(ctx context.Context, site peer.Site) scale.Durations {
	text, err := peer.Get(ctx, site.Admin, site.Admin, "/metrics")
	if err != nil {
		return nil
	}
	return scale.ParseDurations(text)
}

// measureEdits times edits of one route and of one endpoint, spread over all files.
func (s *session) measureEdits(ctx context.Context, one *scaled) error {
	client := scale.NewClient(one.site.Listen)
	defer client.Close()
	kinds := []struct {
		name string
		into *report.Edits
		make func(n int) (func() error, scale.Question, error)
	}{
		{"route", &one.Route, one.routeEdit},
		{"endpoint", &one.Endpoint, one.endpointEdit},
	}
	for _, kind := range kinds {
		kind.into.Exported = map[string][]float64{}
		begin := time.Now()
		for n := range s.edits {
			if time.Since(begin) > editBudget {
				s.report.Warn("%s: %d %s edits instead of %d, as they took %v", one.Requests.Peer, n, kind.name, s.edits, editBudget)
				break
			}
			edit, question, err := kind.make(n)
			if err != nil {
				return err
			}
			before := exported(ctx, one.site)
			took, err := client.TimeEdit(ctx, edit, question)
			if err != nil {
				return fmt.Errorf("%s edit %d: %w", kind.name, n, err)
			}
			if err := pause(ctx, editPause); err != nil {
				return err
			}
			kind.into.Live = append(kind.into.Live, millis(took))
			for name, value := range inMillis(exported(ctx, one.site).Since(before)) {
				kind.into.Exported[name] = append(kind.into.Exported[name], value)
			}
		}
		s.progress("%s: %d %s edits, median %.2f ms", one.Requests.Peer, len(kind.into.Live), kind.name, measure.Summarize(kind.into.Live).Median)
	}
	return nil
}

// stride spreads edits over hosts and Services; it is prime, so that small numbers of either are all visited.
const stride = 7919

func (o *scaled) routeEdit(n int) (func() error, scale.Question, error) {
	host := n * stride % o.set.Hosts
	path := fmt.Sprintf("/edit-%d", n)
	edit, err := o.set.AddPath(host, path)
	live := func(status int, _ string) bool { return status == http.StatusOK }
	return edit, scale.Question{Host: scale.Host(host), Path: path, Live: live}, err
}

func (o *scaled) endpointEdit(n int) (func() error, scale.Question, error) {
	service := n * stride % o.set.Services()
	now, edit, err := o.set.Swap(service)
	want := [2]string{"a", "b"}[now]
	live := func(status int, body string) bool { return status == http.StatusOK && strings.TrimSpace(body) == want }
	return edit, scale.Question{Host: scale.Host(service * o.set.PerService), Path: scale.Path + "/name", Live: live}, err
}

// fewHosts is the number of hosts of the load that shows what a large table costs by itself. A load on all hosts also
// meets as many upstream connections and counters as there are Services and routes, none of them in a processor's cache.
const fewHosts = 10

// measureRandomHosts measures requests for random hosts, of all and of a few, in interleaved rounds, then reads memory
// again.
func (s *session) measureRandomHosts(ctx context.Context, all []*scaled) error {
	for round := 0; round <= s.rounds; round++ {
		for _, one := range all {
			for _, kind := range []struct {
				hosts int
				into  *report.Row
			}{{one.Hosts, &one.Requests}, {min(fewHosts, one.Hosts), &one.Few}} {
				figures, err := s.loadHosts(ctx, one, kind.hosts, 0)
				if err != nil {
					return fmt.Errorf("%s: %w", one.Requests.Peer, err)
				}
				if round > 0 { // the first one warms up and opens upstream connections
					kind.into.Add(figures)
					s.progress("scale round %d/%d %-20s %5d hosts %9.2f us/request %10.0f requests/s", round, s.rounds, kind.into.Peer, kind.hosts, figures.CPU, figures.Rate)
				}
			}
		}
	}
	return s.afterLoad(all)
}

// afterLoad reads memory and counts upstream connections.
func (s *session) afterLoad(all []*scaled) error {
	endpoint, err := netip.ParseAddrPort(s.backend)
	if err != nil {
		return err
	}
	var errs []error
	for _, one := range all {
		memory, err := measure.PSS(one.process.PID())
		one.Loaded = kib(memory)
		errs = append(errs, err)
		one.Sockets, err = measure.Connections(one.process.PID(), endpoint)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// loadHosts is one round of small requests for the first n hosts: random ones, or, with turn above 0, all in turn (load.Run.Turn).
func (s *session) loadHosts(ctx context.Context, one *scaled, n, turn int) (report.Figures, error) {
	small := load.Workloads()[0]
	small.Seconds = 2
	small = s.adjust(small)
	run := small.Run(s.generator, "http://"+one.site.Listen, scale.HostPattern)
	if run.Hosts, run.Turn = n, turn; n == 1 && turn == 0 {
		run.Host = scale.Host(0)
	}
	figures, result, err := costOf(ctx, one.process.PID(), run, small.Requests)
	if err == nil && result.Errors() > 0 {
		s.report.Warn("%s: %d errors in a round", one.Requests.Peer, result.Errors())
	}
	return figures, err
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func inMillis(seconds map[string]float64) map[string]float64 {
	out := make(map[string]float64, len(seconds))
	for name, value := range seconds {
		out[name] = value * 1000
	}
	return out
}
