package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/breakwater-gateway/breakwater/test/bench/load"
	"github.com/breakwater-gateway/breakwater/test/bench/peer"
	"github.com/breakwater-gateway/breakwater/test/bench/report"
)

const (
	// guardHalts is how often the guard halts its experiment, and guardClients how many clients ask meanwhile.
	guardHalts, guardClients = 20, 8
	// haltLimit is how long a halt may take to come.
	haltLimit = 10 * time.Second
	// haltPause follows each halt: an injected answer would still be seen in it.
	haltPause = 150 * time.Millisecond
)

// halt is one halt by a guard.
type halt struct {
	armed, over time.Time // from before the experiment is armed until the pause after the halt has ended
	failed      int       // answers since it was armed that broke the bound
}

// guardReaction measures how soon a halt by a guard is seen by all clients.
func (s *session) guardReaction(ctx context.Context, b named) error {
	process, site, err := s.startControlled(ctx, peer.BreakwaterGuarded(b.name, b.command), s.backend)
	if process != nil {
		defer s.stop(process)
	}
	if err != nil {
		return err
	}
	traffic, end := context.WithCancel(ctx)
	defer end()
	var answers []load.Answer
	var failure error
	var group sync.WaitGroup
	group.Go(func() { answers, failure = load.Watch(traffic, guardClients, site.Listen, peer.Host, "/small") })
	began := time.Now()
	halts, err := haltOften(ctx, site)
	took := time.Since(began)
	end()
	group.Wait()
	if err := errors.Join(err, failure); err != nil {
		return err
	}
	s.progress("%s: %d halts under %.0f requests/s", b.name, len(halts), float64(len(answers))/took.Seconds())
	var late, after [][]float64
	for _, h := range halts {
		took, n, err := h.seen(answers)
		if err != nil {
			return err
		}
		late, after = append(late, allMillis(took)), append(after, []float64{float64(n)})
	}
	s.addReaction(report.Reaction{
		Peer: b.name, Name: "guard halts", Goal: "100 ms",
		Meaning: fmt.Sprintf("from the failed answer that breaks the guard's bound, when it is at its client, to the last injected answer that is "+
			"at any of %d clients, each of which asks again at once; 0 if none came after it. The guard itself says how many failed "+
			"answers broke its bound", guardClients),
	}, late...)
	s.addReaction(report.Reaction{
		Peer: b.name, Name: "(injected answers after it)", Meaning: "their number in each halt, not a time",
	}, after...)
	return nil
}

// haltOften waits for the guard's first halt, and then arms the experiment again and again.
func haltOften(ctx context.Context, site peer.Site) ([]halt, error) {
	var all []halt
	if _, err := nextHalt(ctx, site.Admin); err != nil {
		return nil, err
	}
	for range guardHalts {
		if err := pause(ctx, haltPause); err != nil {
			return nil, err
		}
		h := halt{armed: time.Now()}
		if err := peer.Control(ctx, site.Admin, rearmPath); err != nil {
			return nil, err
		}
		var err error
		if h.failed, err = nextHalt(ctx, site.Admin); err != nil {
			return nil, err
		}
		if err := pause(ctx, haltPause); err != nil {
			return nil, err
		}
		h.over = time.Now()
		all = append(all, h)
	}
	return all, nil
}

// nextHalt waits until the experiment is halted and returns how many failed requests its guard says to have seen.
func nextHalt(ctx context.Context, admin string) (failed int, err error) {
	for began := time.Now(); ; {
		text, err := peer.Get(ctx, admin, "", "/chaos?format=json")
		if err != nil {
			return 0, err
		}
		if failed, ok := failedIn(text); ok {
			return failed, nil
		}
		if time.Since(began) > haltLimit {
			return 0, fmt.Errorf("no halt within %v: %s", haltLimit, text)
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// failedIn reads what the admin endpoint says of the experiment: whether it is halted, and after how many failures.
func failedIn(text string) (failed int, ok bool) {
	var status struct {
		Experiments []struct{ Phase, Reason string }
	}
	if json.Unmarshal([]byte(text), &status) != nil || len(status.Experiments) != 1 || status.Experiments[0].Phase != "Halted" {
		return 0, false
	}
	total := 0
	n, err := fmt.Sscanf(status.Experiments[0].Reason, "%d of %d requests failed", &failed, &total)
	return failed, err == nil && n == 2
}

// seen finds, among all answers in order of time, the injected one that broke the bound, and returns how long after it the last injected
// one came, and how many did.
func (h halt) seen(answers []load.Answer) (took time.Duration, after int, err error) {
	var injected []time.Time
	for _, a := range answers {
		if a.Status == peer.GuardedStatus && a.At.After(h.armed) && a.At.Before(h.over) {
			injected = append(injected, a.At)
		}
	}
	if h.failed < 1 || len(injected) < h.failed {
		return 0, 0, fmt.Errorf("clients saw %d injected answers, the guard %d", len(injected), h.failed)
	}
	return injected[len(injected)-1].Sub(injected[h.failed-1]), len(injected) - h.failed, nil
}
