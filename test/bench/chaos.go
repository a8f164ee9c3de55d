package main

import (
	"context"
	"os/exec"

	"github.com/breakwater-gateway/breakwater/test/bench/load"
	"github.com/breakwater-gateway/breakwater/test/bench/peer"
)

// chaosSuffix marks the process with a NetworkChaos.
const chaosSuffix = "+chaos"

// measureChaos measures what a NetworkChaos costs that matches each request and does nothing to it: the small request, without and
// with it.
func (s *session) measureChaos(ctx context.Context) error {
	if !s.wantsPart(partChaos) {
		return nil
	}
	for _, b := range s.breakwaters {
		if _, err := exec.LookPath(firstField(b.command)); err != nil || !s.wantsPeer(b.name) {
			continue
		}
		if err := s.chaosOf(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) chaosOf(ctx context.Context, b named) error {
	var proxies []running
	for _, p := range []peer.Peer{peer.Breakwater(b.name, b.command), peer.BreakwaterChaos(b.name+chaosSuffix, b.command)} {
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
	w.Name = partChaos
	table, err := s.measureWorkload(ctx, w, proxies)
	table.Goal = "a NetworkChaos that matches and does not inject is to cost at most 3 %: a ratio of at least 0.97."
	s.report.Workloads = append(s.report.Workloads, table)
	return err
}
