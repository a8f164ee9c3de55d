package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/breakwater-gateway/breakwater/test/bench/load"
	"github.com/breakwater-gateway/breakwater/test/bench/peer"
)

// chaosSuffix marks the process with a NetworkChaos.
const chaosSuffix = "+chaos"

// measureChaos measures what a NetworkChaos costs that matches each request and does nothing to it: the small request, without and
// with it.
func (s *session) measureChaos(ctx context.Context) error {
	if !s.wantsChaos(chaosCost) {
		return nil
	}
	for _, b := range s.wantedBreakwaters() {
		if err := s.chaosOf(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// wantedBreakwaters are the builds of Breakwater that are there and were asked for.
func (s *session) wantedBreakwaters() []named {
	var all []named
	for _, b := range s.breakwaters {
		if _, err := exec.LookPath(firstField(b.command)); err == nil && s.wantsPeer(b.name) {
			all = append(all, b)
		}
	}
	return all
}

func (s *session) chaosOf(ctx context.Context, b named) error {
	var proxies []running
	var admin string
	broken := peer.BreakwaterChaos(b.name+chaosSuffix, b.command)
	prepare := broken.Prepare
	broken.Prepare = func(site peer.Site) (peer.Command, error) {
		admin = site.Admin
		return prepare(site)
	}
	for _, p := range []peer.Peer{peer.Breakwater(b.name, b.command), broken} {
		process, address, err := s.startPeer(ctx, p)
		if process != nil {
			defer s.stop(process)
		}
		if err != nil {
			return s.leaveOut(ctx, p.Name, err)
		}
		proxies = append(proxies, running{name: p.Name, pid: process.PID(), url: "http://" + address})
	}
	w := s.adjust(load.Workloads()[0])
	if err := s.warmUp(ctx, w, proxies); err != nil {
		return err
	}
	if err := matches(ctx, admin); err != nil {
		return s.leaveOut(ctx, broken.Name, err)
	}
	w.Name = partChaos
	table, err := s.measureWorkload(ctx, w, proxies)
	table.Goal = "a NetworkChaos that matches and does not inject is to cost at most 3 %: a ratio of at least 0.97."
	s.report.Workloads = append(s.report.Workloads, table)
	return err
}

// matches checks that an experiment has matched requests and touched none.
func matches(ctx context.Context, admin string) error {
	metrics, err := peer.Get(ctx, admin, "", "/metrics")
	if err != nil {
		return err
	}
	for _, want := range []struct {
		name string
		none bool
	}{{"breakwater_chaos_matched_total{", false}, {"breakwater_chaos_injected_total{", true}} {
		_, rest, ok := strings.Cut(metrics, "\n"+want.name)
		_, count, _ := strings.Cut(rest, " ")
		count, _, _ = strings.Cut(count, "\n")
		if !ok || want.none != (count == "0") {
			return fmt.Errorf("%s...} is %q: the NetworkChaos does not match all requests and touch none", want.name, count)
		}
	}
	return nil
}
