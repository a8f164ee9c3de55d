package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/breakwater-gateway/breakwater/test/bench/report"
	"github.com/breakwater-gateway/breakwater/test/bench/scale"
)

// measureRoutes measures what only the number of routes costs: the smallest number asked for and the largest, with the same
// Service and endpoint behind all of them, all hosts asked in turn.
func (s *session) measureRoutes(ctx context.Context) error {
	if !s.wantsPart(partScale) || len(s.scales) == 0 {
		return nil
	}
	least, most := slices.Min(s.scales), slices.Max(s.scales)
	if least == most {
		return nil
	}
	var all []*scaled
	defer func() {
		for _, one := range all {
			s.stop(one.process)
		}
	}()
	for _, hosts := range []int{least, most} {
		for _, p := range s.peers {
			if !takesMany(p) {
				continue
			}
			layout := scale.Layout{Hosts: hosts, PerService: hosts, PerFile: s.perFile, Endpoints: [2]string{s.backend, s.backend}}
			name := fmt.Sprintf("%s-%d-routes", p.Name, hosts)
			one, err := s.startScaled(ctx, p, name, layout)
			if err == nil {
				all = append(all, one)
				continue
			}
			if one != nil && one.process != nil {
				s.stop(one.process)
			}
			if err := s.leaveOut(ctx, name+" of one Service", err); err != nil {
				return err
			}
		}
	}
	for round := 0; round <= s.rounds; round++ {
		for _, one := range all {
			figures, err := s.loadHosts(ctx, one, one.Hosts, most)
			if err != nil {
				return fmt.Errorf("%s: %w", one.Requests.Peer, err)
			}
			if round > 0 { // the first one warms up and opens upstream connections
				one.Requests.Add(figures)
				s.progress("routes round %d/%d %-24s %9.2f us/request %10.0f requests/s", round, s.rounds, one.Requests.Peer, figures.CPU, figures.Rate)
			}
		}
	}
	if err := s.afterLoad(all); err != nil {
		return err
	}
	for _, one := range all {
		s.report.Routes = append(s.report.Routes, report.Routes{
			Peer: one.Peer, Meaning: one.Meaning, Hosts: one.Hosts, Services: one.Services, Sockets: one.Sockets, Requests: one.Requests, Memory: one.Loaded,
		})
	}
	return nil
}
