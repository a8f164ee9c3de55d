package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/test/bench/load"
	"github.com/breakwater-gateway/breakwater/test/bench/measure"
	"github.com/breakwater-gateway/breakwater/test/bench/peer"
	"github.com/breakwater-gateway/breakwater/test/bench/report"
)

// measure runs the parts that were asked for, in order.
func (s *session) measure(ctx context.Context) error {
	for _, part := range []func(context.Context) error{
		s.measureRequests, s.measureIdle, s.measureScale, s.measureRoutes, s.measureAPI, s.measureChaos, s.measureReactions, s.measureStream,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// measureRequests starts all peers and runs every workload against them in interleaved rounds.
func (s *session) measureRequests(ctx context.Context) error {
	workloads := s.workloads()
	if len(workloads) == 0 {
		return nil
	}
	proxies, stop, err := s.startProxies(ctx)
	defer stop()
	if err != nil {
		return err
	}
	for i, w := range workloads {
		if i == 0 {
			if err := s.warmUp(ctx, w, proxies); err != nil {
				return err
			}
		}
		table, err := s.measureWorkload(ctx, w, proxies)
		if err != nil {
			return err
		}
		s.report.Workloads = append(s.report.Workloads, table)
	}
	return nil
}

// workloads are the ones asked for, with the numbers given on the command line.
func (s *session) workloads() []load.Workload {
	var wanted []load.Workload
	for _, w := range load.Workloads() {
		if s.wantsPart(w.Name) {
			wanted = append(wanted, s.adjust(w))
		}
	}
	return wanted
}

// adjust puts the numbers given on the command line into a workload.
func (s *session) adjust(w load.Workload) load.Workload {
	if s.connections > 0 {
		w.Connections = s.connections
	}
	if s.seconds > 0 {
		w.Seconds = s.seconds
	}
	return w
}

// startProxies starts all peers and adds the targets of the command line; stop ends the started ones.
func (s *session) startProxies(ctx context.Context) (proxies []running, stop func(), err error) {
	var processes []*peer.Process
	stop = func() {
		for _, p := range processes {
			s.stop(p)
		}
	}
	for _, t := range s.targets {
		proxies = append(proxies, running{name: t.name, pid: t.pid, url: t.url, fixed: true})
	}
	for i, p := range s.peers {
		process, address, err := s.startPeer(ctx, p)
		if process != nil {
			processes = append(processes, process)
		}
		if err == nil {
			s.report.Peers[i].Forwarded, err = forwardedFields(ctx, address)
		}
		if err != nil {
			if err := s.leaveOut(ctx, p.Name, err); err != nil {
				return nil, stop, err
			}
			continue
		}
		s.progress("%s %s: process %d, http://%s", p.Name, p.Version, process.PID(), address)
		proxies = append(proxies, running{name: p.Name, pid: process.PID(), url: "http://" + address})
	}
	return proxies, stop, nil
}

// forwardedFields tells which of the fields of the common job a proxy sends to the backend.
func forwardedFields(ctx context.Context, address string) ([]string, error) {
	head, err := peer.Get(ctx, address, peer.Host, "/head")
	if err != nil {
		return nil, err
	}
	head = strings.ToLower(head)
	found := []string{}
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "X-Request-Id"} {
		if strings.Contains(head, "\r\n"+strings.ToLower(name)+":") {
			found = append(found, name)
		}
	}
	if !strings.Contains(head, "\r\nhost: "+peer.Host+"\r\n") {
		return nil, fmt.Errorf("the backend did not get Host: %s, but %q", peer.Host, head)
	}
	return found, nil
}

// warmUp sends a second of load to every proxy, so that connections are open and pools are filled.
func (s *session) warmUp(ctx context.Context, w load.Workload, proxies []running) error {
	w.Seconds = 1
	for _, p := range proxies {
		if _, err := s.runOnce(ctx, w, p); err != nil {
			s.progress("warm up %s: %v", p.name, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// measureWorkload measures all proxies, round after round.
func (s *session) measureWorkload(ctx context.Context, w load.Workload, proxies []running) (report.Workload, error) {
	table := report.Workload{Name: w.Name, Connections: w.Connections, Seconds: w.Seconds}
	var measured []running
	for _, p := range proxies {
		if p.fixed && w.Name != "small" {
			continue
		}
		measured = append(measured, p)
		table.Rows = append(table.Rows, report.Row{Peer: p.name})
	}
	failed := map[string]bool{}
	for round := range s.rounds {
		for i, p := range measured {
			if failed[p.name] {
				continue
			}
			figures, err := s.runOnce(ctx, w, p)
			if err != nil && ctx.Err() == nil { // a machine that stood still for a moment is no reason to give up
				figures, err = s.runOnce(ctx, w, p)
			}
			if err != nil {
				failed[p.name] = true
				if err := s.leaveOut(ctx, w.Name+", "+p.name, err); err != nil {
					return table, err
				}
				continue
			}
			table.Rows[i].Add(figures)
			s.progress("%s round %d/%d %-12s %9.2f us/request %10.0f requests/s", w.Name, round+1, s.rounds, p.name, figures.CPU, figures.Rate)
		}
	}
	return table, nil
}

// runOnce is one round of one workload against one proxy.
func (s *session) runOnce(ctx context.Context, w load.Workload, p running) (report.Figures, error) {
	run := w.Run(s.generator, p.url, peer.Host)
	if p.fixed {
		run.URL, run.Host = p.url, ""
	}
	accepted, err := s.accepted(ctx)
	if err != nil {
		return report.Figures{}, err
	}
	figures, result, err := costOf(ctx, p.pid, run, w.Requests)
	if err != nil {
		return figures, err
	}
	if result.Errors() > 0 {
		s.report.Warn("%s, %s: errors in a round: %d connect, %d read, %d write, %d timeout, %d status",
			w.Name, p.name, result.Connect, result.Read, result.Write, result.Timeout, result.Status)
	}
	now, err := s.accepted(ctx)
	if opened := now - accepted - 1; float64(opened) > 2*float64(w.Connections)+figures.Requests/100 { // 1 for accepted itself
		s.report.Warn("%s, %s: %d upstream connections opened for %.0f requests: the proxy does not keep them", w.Name, p.name, opened, figures.Requests)
	}
	return figures, err
}

// accepted is the number of connections that the backend has accepted since its start.
func (s *session) accepted(ctx context.Context) (int64, error) {
	text, err := peer.Get(ctx, s.backend, peer.Host, "/stats")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// costOf runs a load and charges the CPU time that the process and its children used meanwhile to the requests.
func costOf(ctx context.Context, pid int, run load.Run, requests func(load.Result) float64) (report.Figures, load.Result, error) {
	before, err := measure.Family(pid)
	if err != nil {
		return report.Figures{}, load.Result{}, err
	}
	result, err := run.Do(ctx)
	if err != nil {
		return report.Figures{}, result, err
	}
	after, err := measure.Family(pid)
	if err != nil {
		return report.Figures{}, result, err
	}
	used, err := after.Since(before)
	if err != nil {
		return report.Figures{}, result, err
	}
	n := requests(result)
	if n <= 0 {
		return report.Figures{}, result, fmt.Errorf("no request was answered (%d errors)", result.Errors())
	}
	return report.Figures{
		CPU: micros(used.Total()) / n, User: micros(used.User) / n, Rate: n / result.Duration.Seconds(),
		P50: micros(result.P50), P99: micros(result.P99), Requests: n, Errors: result.Errors(),
	}, result, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
