package apiserver

import (
	"context"
	"fmt"
	"time"

	"github.com/breakwater-gateway/breakwater/test/bench/scale"
)

const (
	// pollPause is the time between an answer and the next question. The load that the questions make must leave the
	// machine to the processes that work on the edit.
	pollPause = 100 * time.Microsecond
	editLimit = 30 * time.Second
)

// Edit is the times of one edit.
type Edit struct {
	// Write is how long the API server took to answer the write.
	Write time.Duration
	// Live is the time from the beginning of the write until the first answer that shows it.
	Live time.Duration
	// Unsure is the time between the question before that answer and the answer: the edit went live in it.
	Unsure time.Duration
}

// AfterWrite is the time from the API server's answer until the first answer that shows the edit; it is negative if a
// watch told the proxy before the API server answered.
func (e Edit) AfterWrite() time.Duration { return e.Live - e.Write }

// TimeEdit writes and returns when the question is answered as the edit wants it. The proxy is asked all the time from
// before the write, since it may hear of it before the writer does. An answer that is right before the write is an error.
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
		if err != nil {
			cancel()
		}
		written <- outcome{time.Since(begin), err}
	}()
	for asked := begin; ; {
		before := asked
		asked = time.Now()
		status, body, err := proxy.Get(ctx, q.Host, q.Path)
		now := time.Now()
		if err == nil && q.Live(status, body) {
			w := <-written
			return Edit{Write: w.took, Live: now.Sub(begin), Unsure: now.Sub(before)}, w.err
		}
		if ctx.Err() != nil {
			if w := <-written; w.err != nil {
				return Edit{}, w.err
			}
			return Edit{}, fmt.Errorf("%s%s still answers %d %.40q: %w", q.Host, q.Path, status, body, ctx.Err())
		}
		time.Sleep(pollPause)
	}
}
