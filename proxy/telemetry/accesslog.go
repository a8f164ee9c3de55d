package telemetry

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Format is how a line of the access log is written.
type Format string

const (
	// JSON writes one object per line.
	JSON Format = "json"
	// Common writes the Common Log Format of the NCSA server.
	Common Format = "common"
	// Combined is Common with Referer and User-Agent.
	Combined Format = "combined"
)

// ParseFormat returns the Format called s.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case JSON, Common, Combined:
		return f, nil
	}
	return "", fmt.Errorf("unknown access log format %q: want json, common or combined", s)
}

// LogOptions say what an AccessLog writes.
type LogOptions struct {
	Format Format // "" is JSON
	// Query includes the query of the target, which often carries what should not be in a log.
	Query bool
	// Pending is how many bytes may wait for the writer; lines beyond it are dropped and counted. 0 is 1 MiB.
	Pending int
}

// logMetrics counts what became of the lines.
type logMetrics struct{ written, dropped, failed atomic.Uint64 }

// AccessLog writes one line per Exchange. Log never waits for the writer: lines gather in memory while the previous
// ones are being written, and are dropped and counted when too many gather.
type AccessLog struct {
	w      io.Writer
	format func(dst []byte, x *proxy.Exchange, end time.Time) []byte
	json   bool // format is JSON
	limit  int
	counts *logMetrics
	lines  sync.Pool     // *[]byte, to format in
	wake   chan struct{} // 1 slot: something is pending, or the log is closed
	done   chan struct{} // closed when the writer has ended

	mu      sync.Mutex // guards the fields below
	pending []byte     // whole lines
	count   uint64     // lines in pending
	closed  bool
}

var _ io.Closer = (*AccessLog)(nil)

// NewAccessLog starts an AccessLog that writes to w, batches of whole lines at a time, from one goroutine that Close
// ends. m counts the lines.
func NewAccessLog(w io.Writer, o LogOptions, m *Metrics) *AccessLog {
	l := &AccessLog{
		w:      w,
		limit:  o.Pending,
		counts: &m.log,
		wake:   make(chan struct{}, 1),
		done:   make(chan struct{}),
	}
	if l.limit <= 0 {
		l.limit = 1 << 20
	}
	switch o.Format {
	case Common:
		l.format = clf{query: o.Query}.append
	case Combined:
		l.format = clf{query: o.Query, combined: true}.append
	default:
		l.format, l.json = jsonLine{query: o.Query}.append, true
	}
	l.lines.New = func() any { b := make([]byte, 0, 1024); return &b }
	go l.write()
	return l
}

// Log records x, which ended at end. It copies what it needs and does not block.
func (l *AccessLog) Log(x *proxy.Exchange, end time.Time) {
	line := l.lines.Get().(*[]byte)
	*line = l.format((*line)[:0], x, end)
	first := l.add(*line)
	l.lines.Put(line)
	if first {
		l.signal()
	}
}

// add appends the line and reports whether the writer must be woken.
func (l *AccessLog) add(line []byte) (first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.pending)+len(line) > l.limit {
		l.counts.dropped.Add(1)
		return false
	}
	l.pending = append(l.pending, line...)
	l.count++
	return l.count == 1
}

func (l *AccessLog) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// write is the writer goroutine.
func (l *AccessLog) write() {
	defer close(l.done)
	var batch []byte
	for range l.wake {
		for {
			lines, count, closed := l.take(batch)
			batch = lines
			if count > 0 {
				l.flush(lines, count)
			} else if closed {
				return
			} else {
				break
			}
		}
	}
}

// take exchanges the pending lines for an empty buffer.
func (l *AccessLog) take(spare []byte) (lines []byte, count uint64, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines, count, closed = l.pending, l.count, l.closed
	l.pending, l.count = spare[:0], 0
	return lines, count, closed
}

func (l *AccessLog) flush(lines []byte, count uint64) {
	if _, err := l.w.Write(lines); err != nil {
		l.counts.failed.Add(count)
		return
	}
	l.counts.written.Add(count)
}

// errClosed is returned by a second Close.
var errClosed = errors.New("access log is already closed")

// Close writes what is pending and ends the writer. Lines logged later are dropped and counted.
func (l *AccessLog) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return errClosed
	}
	l.closed = true
	l.mu.Unlock()
	l.signal()
	<-l.done
	return nil
}
