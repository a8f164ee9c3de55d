package main

import (
	"context"
	"fmt"
	"time"

	"github.com/breakwater-gateway/breakwater/test/bench/peer"
	"github.com/breakwater-gateway/breakwater/test/bench/report"
	"github.com/breakwater-gateway/breakwater/test/bench/stream"
)

// The paths of Breakwater's admin endpoint that change something.
const (
	offPath   = "/chaos/off"
	onPath    = "/chaos/on"
	rearmPath = "/chaos/rearm?namespace=default&name=bench"
)

// measureReactions measures how soon what stops a fault, or starts one, acts on traffic that is under way: by the wall clock, on real
// sockets.
func (s *session) measureReactions(ctx context.Context) error {
	if !s.wantsPart(partChaos) {
		return nil
	}
	stop, err := stream.StartStamps()
	if err != nil {
		return err
	}
	defer stop()
	for _, part := range []struct {
		name string
		of   func(context.Context, named) error
	}{{chaosGuard, s.guardReaction}, {chaosKill, s.killReaction}, {chaosToxic, s.toxicReaction}} {
		if !s.wantsChaos(part.name) {
			continue
		}
		for _, b := range s.wantedBreakwaters() {
			if err := part.of(ctx, b); err != nil {
				if err := s.leaveOut(ctx, partChaos+", "+part.name+", "+b.name, err); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// addReaction reports one, and tells the person who waits.
func (s *session) addReaction(r report.Reaction, repetitions ...[]float64) {
	r = report.NewReaction(r, repetitions...)
	s.progress("%-20s %-44s %5d streams, %3d times: p50 %.3f ms, p99 %.3f ms, max %.3f ms", r.Peer, r.Name, r.Streams, r.Times, r.P50, r.P99, r.Max)
	s.report.Reactions = append(s.report.Reactions, r)
}

// startControlled starts a Breakwater in front of an endpoint and waits until it has its configuration, whatever it does to traffic.
func (s *session) startControlled(ctx context.Context, p peer.Peer, endpoint string) (*peer.Process, peer.Site, error) {
	site, err := s.site(p.Name)
	if err != nil {
		return nil, site, err
	}
	site.Backend = endpoint
	command, err := p.Prepare(site)
	if err != nil {
		return nil, site, fmt.Errorf("prepare %s: %w", p.Name, err)
	}
	process, err := s.start(p.Name+"-"+partChaos, command)
	if err != nil {
		return nil, site, err
	}
	return process, site, process.Ready(ctx, 20*time.Second, func(ctx context.Context) error {
		_, err := peer.Get(ctx, site.Admin, "", "/readyz")
		return err
	})
}

// killed is how many streams the kill switch has to free, and how often.
type killed struct{ streams, times int }

// settle is how long everybody is left to do what has been started on all streams.
func (k killed) settle() time.Duration {
	return 10*time.Millisecond + time.Duration(k.streams)*100*time.Microsecond
}

func kills() []killed { return []killed{{1, 100}, {100, 20}, {1000, 10}, {10000, 3}} }

// killReaction measures the kill switch on streams on each of which a byte is held back.
func (s *session) killReaction(ctx context.Context, b named) error {
	endpoint, stop, err := s.startEndpoint(ctx)
	if err != nil {
		return err
	}
	defer stop()
	process, site, err := s.startControlled(ctx, peer.BreakwaterHeld(b.name, b.command), endpoint)
	if process != nil {
		defer s.stop(process)
	}
	if err != nil {
		return err
	}
	for _, k := range kills() {
		const spare = 256 // descriptors for everything else
		if most := int(s.files-spare) / 2; k.streams > most {
			s.report.Warn("chaos, kill switch: %d streams instead of %d, as the limit of open files is %d", most, k.streams, s.files)
			k.streams = most
		}
		if err := s.killOften(ctx, b.name, site, k); err != nil {
			return fmt.Errorf("%d streams: %w", k.streams, err)
		}
	}
	return nil
}

// killOften uses the kill switch on one set of streams again and again.
func (s *session) killOften(ctx context.Context, name string, site peer.Site, k killed) error {
	if err := peer.Control(ctx, site.Admin, offPath); err != nil {
		return err
	}
	live, err := stream.OpenLive(ctx, k.streams, site.Listen)
	if err != nil {
		return err
	}
	defer live.Close()
	if err := live.Send(); err != nil {
		return err
	}
	if _, err := live.Arrivals(); err != nil { // every stream has reached the endpoint, and nothing acts on it
		return err
	}
	var freed, answered, floor [][]float64
	for range k.times {
		times, took, err := killOnce(ctx, site, live, k)
		if err != nil {
			return err
		}
		freed, answered = append(freed, times), append(answered, []float64{took})
	}
	live.Close()
	if err := pause(ctx, k.settle()); err != nil { // the proxy closes them too
		return err
	}
	for range k.times {
		times, err := stream.Floor(k.streams)
		if err != nil {
			return err
		}
		floor = append(floor, allMillis(times...))
	}
	s.addReaction(report.Reaction{
		Peer: name, Name: "kill switch", Streams: k.streams, Goal: "10 ms",
		Meaning: "from before the switch is sent to the admin endpoint, on a new connection as the command line does it, until the byte that a " +
			"latency toxic of 1 h held back on each stream is at its client",
	}, freed...)
	s.addReaction(report.Reaction{
		Peer: name, Name: "(answer to the switch)", Streams: k.streams, Meaning: "the same, until the bench has read the admin endpoint's answer",
	}, answered...)
	s.addReaction(report.Reaction{
		Peer: "no proxy", Name: "(floor)", Streams: k.streams,
		Meaning: "from before one thread writes a byte to each of so many sockets, one after the other, until it is at its receiver: what the " +
			"kernel and the measuring take by themselves",
	}, floor...)
	return nil
}

// killOnce has a byte held back on each stream, uses the kill switch, and returns how long each byte and the answer to the switch took.
func killOnce(ctx context.Context, site peer.Site, live *stream.Live, k killed) (freed []float64, answered float64, err error) {
	for _, step := range []func() error{func() error { return peer.Control(ctx, site.Admin, onPath) }, live.Send} {
		if err := step(); err != nil {
			return nil, 0, err
		}
		if err := pause(ctx, k.settle()); err != nil {
			return nil, 0, err
		}
	}
	if n := live.Quiet(); n != k.streams {
		return nil, 0, fmt.Errorf("%d streams got a byte that was to be held back", k.streams-n)
	}
	began := time.Now()
	if err := peer.Control(ctx, site.Admin, offPath); err != nil {
		return nil, 0, err
	}
	answered = millis(time.Since(began))
	if err := pause(ctx, k.settle()); err != nil { // the bench leaves the processors to the proxy
		return nil, 0, err
	}
	arrived, err := live.Arrivals()
	for _, at := range arrived {
		freed = append(freed, millis(at.Sub(began)))
	}
	return freed, answered, err
}

func allMillis(all ...time.Duration) []float64 {
	series := make([]float64, len(all))
	for i, d := range all {
		series[i] = millis(d)
	}
	return series
}

const (
	// toxicTimes is how often a toxic is added to a live stream.
	toxicTimes = 200
	// toxicDelay is what it adds to a message: more than a message waits for a processor as a rule.
	toxicDelay = 10 * time.Millisecond
)

// change is a toxic that was added to a live stream and taken away again.
type change struct{ add, added, remove, removed time.Time }

// toxicReaction measures how soon a toxic acts on a stream on which messages go to and fro, and how soon it has gone.
func (s *session) toxicReaction(ctx context.Context, b named) error {
	endpoint, stop, err := s.startEndpoint(ctx)
	if err != nil {
		return err
	}
	defer stop()
	process, paths, err := s.startStreamPeer(ctx, peer.BreakwaterStream(b.name, b.command), endpoint)
	if process != nil {
		defer s.stop(process)
	}
	if err != nil {
		return err
	}
	made := paths[len(paths)-1]
	traffic, end := context.WithCancel(ctx)
	defer end()
	type result struct {
		trips []stream.Trip
		err   error
	}
	done := make(chan result, 1)
	go func() {
		trips, err := stream.Trips(traffic, made.address)
		done <- result{trips, err}
	}()
	changes, err := changeOften(ctx, made)
	end()
	found := <-done
	if err == nil {
		err = found.err
	}
	if err != nil {
		return err
	}
	s.reportChanges(made.name, found.trips, changes)
	return nil
}

// changeOften adds a toxic to a path and takes it away, again and again.
func changeOften(ctx context.Context, p path) ([]change, error) {
	toxic := stream.Downstream("latency", attributes{"latency": int(toxicDelay / time.Millisecond)})
	var all []change
	for range toxicTimes {
		if err := pause(ctx, 2*toxicDelay); err != nil { // messages go to and fro freely
			return nil, err
		}
		c := change{add: time.Now()}
		if err := p.control.Add(ctx, p.proxy, toxic); err != nil {
			return nil, err
		}
		c.added = time.Now()
		if err := pause(ctx, 4*toxicDelay); err != nil { // two messages are late
			return nil, err
		}
		c.remove = time.Now()
		if err := p.control.Remove(ctx, p.proxy, toxic); err != nil {
			return nil, err
		}
		c.removed = time.Now()
		all = append(all, c)
	}
	return all, pause(ctx, toxicDelay)
}

// reportChanges finds what the changes did to the messages.
func (s *session) reportChanges(name string, trips []stream.Trip, changes []change) {
	var own []float64
	var sinceAdd, sinceAdded, sinceRemove, sinceRemoved [][]float64
	unseen := 0
	for i, c := range changes {
		next := time.Now()
		if i+1 < len(changes) {
			next = changes[i+1].add
		}
		// A message was touched at least so long before it was back.
		first, ok := stream.FirstDelayed(trips, c.add.Add(toxicDelay), toxicDelay)
		touched := first.Back.Add(-toxicDelay)
		if !ok || touched.After(c.remove) {
			touched = c.remove
			unseen++
		}
		last, ok := stream.FirstFree(trips, c.remove, toxicDelay)
		free := last.Back
		if !ok || free.After(next) {
			free = next
			unseen++
		}
		sinceAdd, sinceAdded = append(sinceAdd, allMillis(touched.Sub(c.add))), append(sinceAdded, allMillis(touched.Sub(c.added)))
		sinceRemove, sinceRemoved = append(sinceRemove, allMillis(free.Sub(c.remove))), append(sinceRemoved, allMillis(free.Sub(c.removed)))
		for _, t := range trips {
			if t.Sent.After(free) && t.Back.Before(next) {
				own = append(own, millis(t.Took()))
			}
		}
	}
	if unseen > 0 {
		s.report.Warn("chaos, toxic: %d of %d changes were not seen in messages before the next one came, and count as if they had acted then",
			unseen, 2*len(changes))
	}
	for _, r := range []struct {
		name, goal, meaning string
		times               [][]float64
	}{
		{"toxic added", "10 ms", "from when the bench has read the API's answer until the first message that the toxic delays is touched: " +
			"10 ms before that one is back, at the latest", sinceAdded},
		{"(since the request)", "", "the same, from before the request to the API, on a new connection", sinceAdd},
		{"toxic removed", "10 ms", "from when the bench has read the API's answer until the first message that the toxic does not delay, " +
			"or not to the end, is back", sinceRemoved},
		{"(since the request to remove it)", "", "the same, from before the request to the API, on a new connection", sinceRemove},
		{"(resolution)", "", "the round trip of each message while there is no toxic; one is sent when the one before is back", [][]float64{own}},
	} {
		s.addReaction(report.Reaction{Peer: name, Name: r.name, Goal: r.goal, Meaning: r.meaning, Streams: 1}, r.times...)
	}
}
