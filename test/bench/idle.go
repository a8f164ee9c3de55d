package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/test/bench/load"
	"github.com/breakwater-gateway/breakwater/test/bench/measure"
	"github.com/breakwater-gateway/breakwater/test/bench/peer"
	"github.com/breakwater-gateway/breakwater/test/bench/report"
)

// Pauses before a reading of memory: a process goes on working for a moment after its last request.
const (
	settleBefore = time.Second
	settleAfter  = 10 * time.Second
)

// measureIdle measures the memory of idle connections, in rounds over all peers, each time with a fresh process.
func (s *session) measureIdle(ctx context.Context) error {
	if !s.wantsPart(partIdle) || len(s.peers) == 0 {
		return nil
	}
	const spare = 256 // descriptors for everything else
	n := min(s.idle, int(s.files-spare)/2)
	if n < s.idle {
		s.report.Warn("idle: %d connections instead of %d, as the limit of open files is %d", n, s.idle, s.files)
	}
	idle := &report.Idle{Connections: n}
	for _, p := range s.peers {
		idle.Rows = append(idle.Rows, report.IdleRow{Peer: p.Name})
	}
	s.report.Idle = idle
	for round := range s.idleRounds {
		for i, p := range s.peers {
			row := &idle.Rows[i]
			if err := s.idleOnce(ctx, p, n, row); err != nil {
				if err := s.leaveOut(ctx, p.Name+", idle", err); err != nil {
					return err
				}
				continue
			}
			series := row.PerConnection(n)
			s.progress("idle round %d/%d %-12s %8.2f KiB/connection", round+1, s.idleRounds, p.Name, series[len(series)-1])
		}
	}
	idle.Rows = slices.DeleteFunc(idle.Rows, func(row report.IdleRow) bool { return len(row.Before) == 0 })
	return nil
}

// idleOnce starts a peer, warms it up, and reads its memory without and with n idle connections.
func (s *session) idleOnce(ctx context.Context, p peer.Peer, n int, row *report.IdleRow) error {
	process, address, err := s.startPeer(ctx, p)
	if process != nil {
		defer s.stop(process)
	}
	if err != nil {
		return err
	}
	small := load.Workloads()[0]
	small.Seconds = 1
	if _, err := small.Run(s.generator, "http://"+address, peer.Host).Do(ctx); err != nil {
		return err
	}
	if err := pause(ctx, settleBefore); err != nil {
		return err
	}
	before, err := measure.PSS(process.PID())
	if err != nil {
		return err
	}
	conns, err := load.OpenIdle(ctx, n, address, peer.Host, small.Path)
	if err != nil {
		return err
	}
	defer conns.Close()
	if err := pause(ctx, settleAfter); err != nil {
		return err
	}
	after, err := measure.PSS(process.PID())
	if err != nil {
		return err
	}
	if lost := conns.Lost(); lost > 0 {
		return fmt.Errorf("%d of %d idle connections were closed within %v", lost, n, settleAfter)
	}
	row.Before = append(row.Before, kib(before))
	row.After = append(row.After, kib(after))
	return nil
}

// leaveOut notes that a part of the measurement failed, so that the rest can go on; it returns an error only if the whole
// run is to end.
func (s *session) leaveOut(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	text := what + ": " + strings.Join(strings.Fields(err.Error()), " ")
	s.progress("left out: %s", text)
	s.report.Missing = append(s.report.Missing, text)
	return nil
}

func kib(bytes int64) float64 { return float64(bytes) / 1024 }

// pause waits, or ends early with ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
