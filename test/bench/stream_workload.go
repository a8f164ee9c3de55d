package main

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/breakwater-gateway/breakwater/test/bench/measure"
	"github.com/breakwater-gateway/breakwater/test/bench/report"
	"github.com/breakwater-gateway/breakwater/test/bench/stream"
)

// turn is how long messages go to and fro on one path before it is the next one's turn.
const turn = 100 * time.Millisecond

// streamWorkload is one kind of stream, and the toxics that it goes through.
type streamWorkload struct {
	name    string
	bulk    bool
	awake   bool // processors are kept awake
	seconds int
	toxics  []stream.Toxic
	asked   time.Duration // that they add to a round trip
}

// attributes of a toxic.
type attributes = map[string]any

// streamWorkloads are all, in the order in which they run; awake tells whether processors can be kept awake. Toxics whose effect is an
// end are asked for one that does not come.
func streamWorkloads(awake bool) []streamWorkload {
	const never = 1 << 40 // bytes
	one := func(kind string, a attributes) []stream.Toxic { return []stream.Toxic{stream.Downstream(kind, a)} }
	all := []streamWorkload{{name: "ping-pong of 64 B", seconds: 2}}
	if awake {
		all = append(all, streamWorkload{name: all[0].name + report.KeptAwake, awake: true, seconds: 2})
	}
	return append(all, []streamWorkload{
		{name: "bulk", bulk: true, seconds: 2},
		{name: "ping-pong, noop", seconds: 1, toxics: one("noop", attributes{})},
		{name: "ping-pong, latency 5 ms", seconds: 1, toxics: one("latency", attributes{"latency": 5}), asked: 5 * time.Millisecond},
		{name: "ping-pong, bandwidth 1 GB/s", seconds: 1, toxics: one("bandwidth", attributes{"rate": 1000000})},
		{name: "ping-pong, slicer of 16 B", seconds: 1, toxics: one("slicer", attributes{"average_size": 16, "size_variation": 1, "delay": 0})},
		{name: "ping-pong, limit_data", seconds: 1, toxics: one("limit_data", attributes{"bytes": never})},
		{name: "ping-pong, slow_close", seconds: 1, toxics: one("slow_close", attributes{"delay": 1})},
		{name: "bulk, noop", bulk: true, seconds: 1, toxics: one("noop", attributes{})},
		{name: "bulk, latency 50 ms", bulk: true, seconds: 2, toxics: one("latency", attributes{"latency": 50})},
		{name: "bulk, bandwidth 10 GB/s", bulk: true, seconds: 1, toxics: one("bandwidth", attributes{"rate": 10000000})},
		{name: "bulk, slicer of 16 KiB", bulk: true, seconds: 1, toxics: one("slicer", attributes{"average_size": 16384, "size_variation": 1, "delay": 0})},
		{name: "bulk, limit_data", bulk: true, seconds: 1, toxics: one("limit_data", attributes{"bytes": never})},
	}...)
}

// turns is the number of turns that each path has in a round, and how long each of them is. Bulk has one: a stream that is interrupted
// would be measured while it gains speed.
func (w streamWorkload) turns() (int, time.Duration) {
	round := time.Duration(w.seconds) * time.Second
	if w.bulk {
		return 1, round
	}
	return int(round / turn), turn
}

// lane is one path in a workload: its row, and what the turns of a round have come to so far.
type lane struct {
	path
	row    report.Row
	failed bool
	rally  *stream.Rally // nil between rounds, and for bulk
	times  []float64     // µs, of round trips
	amount float64       // round trips, or MB
	took   time.Duration
	cpu    time.Duration
}

// measureStreamWorkload measures all paths, round after round.
func (s *session) measureStreamWorkload(ctx context.Context, w streamWorkload, paths []path) (table report.StreamWorkload, err error) {
	turns, length := w.turns()
	table = report.StreamWorkload{
		Name: w.name, Bulk: w.bulk, Awake: w.awake, Asked: micros(w.asked), Seconds: w.seconds, Turns: turns,
	}
	lanes, err := s.lanes(ctx, w, paths)
	if err != nil {
		return table, err
	}
	if w.awake {
		const slack = 2 // a round takes longer than its turns
		stop, err := startAwake(s.program("awake"), time.Minute+slack*time.Duration(s.rounds*turns*len(lanes))*length)
		if err != nil {
			return table, err
		}
		defer func() {
			if err := stop(); err != nil {
				table.Awake = false
				s.report.Warn("stream, %s: %v", w.name, err)
			}
		}()
	}
	for round := range s.rounds {
		if err := s.streamRound(ctx, w, round, lanes); err != nil {
			return table, err
		}
	}
	for _, l := range lanes {
		table.Rows = append(table.Rows, l.row)
	}
	return table, nil
}

// lanes are the paths that take part in a workload, with its toxics.
func (s *session) lanes(ctx context.Context, w streamWorkload, paths []path) ([]*lane, error) {
	var lanes []*lane
	for _, p := range paths {
		if p.floor && w.bulk {
			continue
		}
		if len(w.toxics) > 0 {
			if p.control == nil && p.pid != 0 {
				continue
			}
			var err error
			if p, err = p.through(ctx, w.toxics...); err != nil {
				if err := s.leaveOut(ctx, "stream, "+w.name+", "+p.name, err); err != nil {
					return nil, err
				}
				continue
			}
		}
		lanes = append(lanes, &lane{path: p, row: report.Row{Peer: p.name}})
	}
	return lanes, nil
}

// streamRound measures all paths once. They take turns, each time in another order, so that what disturbs the machine meets all, and none
// always comes after the same one: paths through one process differ by a quarter if one of them does.
func (s *session) streamRound(ctx context.Context, w streamWorkload, round int, lanes []*lane) error {
	turns, length := w.turns()
	for turn := range turns {
		for _, i := range order(round*turns+turn, len(lanes)) {
			l := lanes[i]
			if l.failed {
				continue
			}
			if err := l.take(ctx, w.bulk, length); err != nil {
				l.failed = true
				l.end()
				if err := s.leaveOut(ctx, "stream, "+w.name+", "+l.name, err); err != nil {
					return err
				}
			}
		}
	}
	for _, l := range lanes {
		if l.failed {
			continue
		}
		f := l.end()
		l.row.Add(f)
		s.progress("%s round %d/%d %-16s p50 %9.1f us p99 %9.1f us CPU %8.2f us rate %10.0f", w.name, round+1, s.rounds, l.name, f.P50, f.P99, f.CPU, f.Rate)
	}
	return nil
}

// order is that of n paths in a turn: the same in every run.
func order(turn, n int) []int { return rand.New(rand.NewPCG(1, uint64(turn))).Perm(n) }

// take is one turn of the path.
func (l *lane) take(ctx context.Context, bulk bool, d time.Duration) error {
	if l.rally == nil && !bulk {
		rally, err := stream.OpenRally(ctx, l.address)
		if err != nil {
			return err
		}
		l.rally = &rally
	}
	before, err := cpuOf(l.path)
	if err != nil {
		return err
	}
	if bulk {
		bytes, took, err := stream.Bulk(ctx, l.address, d)
		if err != nil {
			return err
		}
		l.amount, l.took = l.amount+float64(bytes)/1e6, l.took+took
	} else {
		began := time.Now()
		times, err := l.rally.Play(ctx, d)
		if err != nil {
			return err
		}
		l.times, l.amount, l.took = append(l.times, inMicros(times)...), l.amount+float64(len(times)), l.took+time.Since(began)
	}
	after, err := cpuOf(l.path)
	l.cpu += after - before
	return err
}

// end ends a round and returns its figures.
func (l *lane) end() report.Figures {
	f := report.Figures{
		Requests: l.amount, P50: measure.Percentile(l.times, 0.5), P99: measure.Percentile(l.times, 0.99),
		CPU: micros(l.cpu) / l.amount, Rate: l.amount / l.took.Seconds(),
	}
	if l.rally != nil {
		l.rally.Close()
	}
	l.rally, l.times, l.amount, l.took, l.cpu = nil, nil, 0, 0, 0
	return f
}

// cpuOf is the CPU time that the proxy of a path has used.
func cpuOf(p path) (time.Duration, error) {
	if p.pid == 0 {
		return 0, nil
	}
	return measure.Clock(p.pid)
}

func inMicros(times []time.Duration) []float64 {
	all := make([]float64, len(times))
	for i, t := range times {
		all[i] = micros(t)
	}
	return all
}
