package main

import (
	"context"
	"slices"

	"github.com/breakwater-gateway/breakwater/test/bench/measure"
	"github.com/breakwater-gateway/breakwater/test/bench/peer"
	"github.com/breakwater-gateway/breakwater/test/bench/report"
	"github.com/breakwater-gateway/breakwater/test/bench/stream"
)

// idleStreams are what the memory of idle streams is measured with, and the rows found.
type idleStreams struct {
	*report.Idle
	endpoint string
}

// row returns the row of a path.
func (i *idleStreams) row(name string) *report.IdleRow {
	at := slices.IndexFunc(i.Rows, func(r report.IdleRow) bool { return r.Peer == name })
	if at < 0 {
		at = len(i.Rows)
		i.Rows = append(i.Rows, report.IdleRow{Peer: name})
	}
	return &i.Rows[at]
}

// measureIdleStreams measures the memory of idle connections, each time with a fresh process.
func (s *session) measureIdleStreams(ctx context.Context, peers []peer.Peer, endpoint string) error {
	if !s.wantsStream(partIdle) {
		return nil
	}
	const spare = 256 // descriptors for everything else
	n := min(s.streams, int(s.files-spare)/2)
	if n < s.streams {
		s.report.Warn("stream, idle: %d connections instead of %d, as the limit of open files is %d", n, s.streams, s.files)
	}
	idle := &idleStreams{&report.Idle{Connections: n}, endpoint}
	s.report.Stream.Idle = idle.Idle
	for range s.idleRounds {
		for _, p := range peers {
			if p.Floor {
				continue
			}
			paths := 1
			if p.Passes && p.Toxics {
				paths = 2
			}
			for which := range paths {
				if err := s.idleStreamsOnce(ctx, p, which, idle); err != nil {
					if err := s.leaveOut(ctx, p.Name+", idle streams", err); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// idleStreamsOnce starts a peer and reads its memory without and with idle connections on one of its paths.
func (s *session) idleStreamsOnce(ctx context.Context, p peer.Peer, which int, idle *idleStreams) error {
	process, paths, err := s.startStreamPeer(ctx, p, idle.endpoint)
	if process != nil {
		defer s.stop(process)
	}
	if err == nil {
		err = pause(ctx, settleBefore)
	}
	if err != nil {
		return err
	}
	before, err := measure.PSS(process.PID())
	if err != nil {
		return err
	}
	conns, err := stream.OpenIdle(ctx, idle.Connections, paths[which].address)
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
	row := idle.row(paths[which].name)
	row.Before, row.After = append(row.Before, kib(before)), append(row.After, kib(after))
	s.progress("idle streams %-16s %8.2f KiB/connection", row.Peer, kib(after-before)/float64(idle.Connections))
	return nil
}
