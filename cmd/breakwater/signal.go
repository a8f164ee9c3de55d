package main

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// repeatWithin is how soon after a signal the same one is a repeat of it and no wish of its own: timeout(1) signals its child and
	// then the group, in which the child is; a terminal and a program between do the same.
	repeatWithin = time.Second
	// hasteMost bounds a stop that waits for nothing any more but has the report and the last lines of logs to write.
	hasteMost = 10 * time.Second
)

// haste is what a second signal asks for: a stop that waits for nothing any more.
type haste struct {
	asked  chan struct{} // closed by the second signal
	heeded atomic.Bool   // somebody stops when asked is closed
	kill   func()        // ends the process

	mu     sync.Mutex // guards atOnce, and the context against ending meanwhile
	atOnce bool       // the first signal ends the process
}

// hasteKey is the key of the *haste in a context.
type hasteKey struct{}

// heed returns what is closed when a stop is to wait for nothing any more, and has the second signal not end the process by itself from
// then on. It is nil if no signals are followed.
func heed(ctx context.Context) <-chan struct{} {
	h, ok := ctx.Value(hasteKey{}).(*haste)
	if !ok {
		return nil
	}
	h.heeded.Store(true)
	return h.asked
}

// endAtOnce has the first signal end the process by itself: for commands that have nothing to put in order, and may be in the middle of
// what nothing else interrupts. It does nothing if no signals are followed.
func endAtOnce(ctx context.Context) {
	h, ok := ctx.Value(hasteKey{}).(*haste)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.atOnce = true; ctx.Err() != nil {
		h.kill()
	}
}

// begin ends what the first signal ends: the process, or the context.
func (h *haste) begin(cancel context.CancelFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.atOnce {
		h.kill() // and does not cancel, of which the command would speak
		return
	}
	cancel()
}

func (h *haste) isAsked() bool {
	select {
	case <-h.asked:
		return true
	default:
		return false
	}
}

// untilSignal returns a context that ends with the first signal. A second one asks for haste. If nobody heeds that, or not within
// hasteMost, or a third signal comes, it calls kill; after endAtOnce the first one does. Repeats of a signal count for nothing.
func untilSignal(parent context.Context, signals <-chan os.Signal, kill func()) (context.Context, *haste) {
	h := &haste{asked: make(chan struct{}), kill: kill}
	ctx, cancel := context.WithCancel(context.WithValue(parent, hasteKey{}, h))
	go func() {
		defer cancel()
		a := attention{signals: signals, done: parent.Done()}
		if !a.await(nil) {
			return
		}
		h.begin(cancel)
		if !a.await(nil) {
			return
		}
		if h.heeded.Load() {
			close(h.asked)
			limit := time.NewTimer(hasteMost)
			defer limit.Stop()
			if !a.await(limit.C) {
				return
			}
		}
		kill()
	}()
	return ctx, h
}

// attention tells signals from their repeats.
type attention struct {
	signals <-chan os.Signal
	done    <-chan struct{}
	last    os.Signal // nil: none yet
	at      time.Time // of last
}

// await waits for a signal that is no repeat, or for limit. It returns false if done is closed first.
func (a *attention) await(limit <-chan time.Time) bool {
	for {
		select {
		case s := <-a.signals:
			if s == a.last && time.Since(a.at) < repeatWithin {
				continue
			}
			a.last, a.at = s, time.Now()
			return true
		case <-limit:
			return true
		case <-a.done:
			return false
		}
	}
}
