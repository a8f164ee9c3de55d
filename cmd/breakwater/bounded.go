package main

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// bounded returns a log to which at most eventsPerMinute lines below a warning are written in a minute. It is for events that clients
// and objects cause, a line each: whoever makes them happen all the time does not fill a disk.
func bounded(log *slog.Logger) *slog.Logger {
	return slog.New(boundedHandler{log.Handler(), &boundedCount{}})
}

// eventsPerMinute is a line for each request of a person or a test, and little to keep.
const eventsPerMinute = 600

// boundedHandler is the slog.Handler of bounded.
type boundedHandler struct {
	slog.Handler
	count *boundedCount
}

// boundedCount counts the lines of a minute.
type boundedCount struct {
	mu             sync.Mutex // guards what follows
	began          time.Time
	lines, leftOut int
}

// take reports whether another line may be written now, and how many were left out in the minute before, the first time that is known.
func (c *boundedCount) take() (ok bool, leftOut int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.began) >= time.Minute {
		leftOut = c.leftOut
		c.began, c.lines, c.leftOut = now, 0, 0
	}
	if c.lines >= eventsPerMinute {
		c.leftOut++
		return false, 0
	}
	c.lines++
	return true, leftOut
}

// Handle implements slog.Handler.
func (h boundedHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn {
		ok, leftOut := h.count.take()
		if leftOut > 0 {
			note := slog.NewRecord(r.Time, slog.LevelWarn, "lines were left out, there were too many in a minute", 0)
			note.Add("lines", leftOut)
			_ = h.Handler.Handle(ctx, note) // the line that follows has the same fate
		}
		if !ok {
			return nil
		}
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h boundedHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return boundedHandler{h.Handler.WithAttrs(attrs), h.count}
}

// WithGroup implements slog.Handler.
func (h boundedHandler) WithGroup(name string) slog.Handler {
	return boundedHandler{h.Handler.WithGroup(name), h.count}
}
