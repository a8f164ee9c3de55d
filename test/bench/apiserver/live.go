package apiserver

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/breakwater-gateway/breakwater/test/bench/scale"
)

const (
	// askers is how many ask the proxy in turn, each on a connection of its own: an answer that is late, because some process
	// waits for a processor, does not keep the next question from being asked.
	askers = 4
	// askPause is the time between two questions of one asker. All of them together are to leave the machine to the processes
	// that work on the edit.
	askPause  = 4 * time.Millisecond
	editLimit = 30 * time.Second
)

// Edit is the times of one edit.
type Edit struct {
	// Write is how long the API server took to answer the write.
	Write time.Duration
	// Live is the time from the beginning of the write until the backend got the first request that was routed as the edit
	// wants it: by then the edit was live.
	Live time.Duration
	// Unsure is how much earlier it may have been live: the last question that got an old answer was asked so long before.
	Unsure time.Duration
}

// AfterWrite is the time from the API server's answer until the first answer that shows the edit; it is negative if a
// watch told the proxy before the API server answered.
func (e Edit) AfterWrite() time.Duration { return e.Live - e.Write }

// TimeEdit writes and returns when the question is answered as the edit wants it. The proxy is asked all the time from
// the beginning of the write, since it may hear of it before the writer does. An answer that is right before the write is an error.
func TimeEdit(ctx context.Context, proxy *scale.Client, write func(context.Context) error, q scale.Question) (Edit, error) {
	ctx, cancel := context.WithTimeout(ctx, editLimit)
	defer cancel()
	status, body, err := proxy.Get(ctx, q.Host, q.Path)
	if err != nil {
		return Edit{}, err
	}
	if q.Live(status, body) {
		return Edit{}, fmt.Errorf("%s%s answers %d %.40q before the edit", q.Host, q.Path, status, body)
	}
	type outcome struct {
		took time.Duration
		err  error
	}
	written := make(chan outcome, 1)
	begin := time.Now()
	go func() {
		err := write(ctx)
		took := time.Since(begin)
		if err != nil {
			cancel()
		}
		written <- outcome{took, err}
	}()
	seen := sight{old: begin}
	done, stop := context.WithCancel(ctx) // when one has seen the edit, the others await the answers that they have asked for
	defer stop()
	var group sync.WaitGroup
	for i := range askers {
		group.Go(func() {
			defer stop()
			seen.ask(ctx, done, proxy, q, begin.Add(askPause*time.Duration(i)/askers))
		})
	}
	group.Wait()
	w := <-written
	switch {
	case w.err != nil:
		return Edit{}, w.err
	case seen.live.IsZero():
		return Edit{}, fmt.Errorf("%s%s still answers %d %.40q: %w", q.Host, q.Path, seen.last.Status, seen.last.Body, ctx.Err())
	}
	return Edit{Write: w.took, Live: seen.live.Sub(begin), Unsure: max(0, seen.live.Sub(seen.old))}, nil
}

// sight is what the answers say about when an edit went live.
type sight struct {
	mu   sync.Mutex
	old  time.Time // guarded by mu; the edit was not live yet
	live time.Time // guarded by mu; the edit was live; zero: no answer has shown it
	last scale.Answer
}

// ask asks every askPause, the first time at next, until an answer shows the edit or done ends.
func (s *sight) ask(ctx, done context.Context, proxy *scale.Client, q scale.Question, next time.Time) {
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	for {
		select {
		case <-done.Done():
			return
		case <-timer.C:
		}
		asked := time.Now()
		answer, err := proxy.Ask(ctx, q.Host, q.Path)
		if err == nil && s.add(asked, answer, q.Live(answer.Status, answer.Body)) {
			return
		}
		for now := time.Now(); !next.After(now); { // keep the step with the other askers
			next = next.Add(askPause)
		}
		timer.Reset(time.Until(next))
	}
}

// add takes an answer into account and returns live.
func (s *sight) add(asked time.Time, answer scale.Answer, live bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !live:
		s.last = answer
		if asked.After(s.old) {
			s.old = asked
		}
	case s.live.IsZero() || answer.Received.Before(s.live):
		s.live = answer.Received
	}
	return live
}
