package stream

import (
	"maps"
	"sync"
	"time"
)

// complainEvery is how often the log tells of one kind of failure: soon enough to be found, too seldom to fill a disk.
const complainEvery = 10 * time.Second

// maxComplaints bounds the kinds of failures that are told apart.
const maxComplaints = 1000

// complaints bounds what the log tells of connections that fail, which clients can cause at any rate. Its zero value is ready.
type complaints struct {
	mu   sync.Mutex
	kind map[string]complaint // guarded by mu
}

// complaint is one kind of failure.
type complaint struct {
	told    time.Time
	leftOut int // since then
}

// take reports whether a failure of a kind is to be told now, and how many of the kind have not been told since the last one.
func (c *complaints) take(kind string) (tell bool, leftOut int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	last, known := c.kind[kind]
	if known && now.Sub(last.told) < complainEvery {
		last.leftOut++
		c.kind[kind] = last
		return false, 0
	}
	if !known && len(c.kind) >= maxComplaints {
		maps.DeleteFunc(c.kind, func(_ string, last complaint) bool { return now.Sub(last.told) >= complainEvery })
		if len(c.kind) >= maxComplaints {
			return false, 0
		}
	}
	if c.kind == nil {
		c.kind = map[string]complaint{}
	}
	c.kind[kind] = complaint{told: now}
	return true, last.leftOut
}

// Complain logs a warning about a connection that fails, at most every complainEvery for each event and place. A line tells how many
// were left out since the one before.
func (s *Server) Complain(event, place, name string, err error) {
	tell, leftOut := s.complaints.take(event + " " + name)
	if tell {
		s.cfg.Log.Warn(event, place, name, "error", err, "leftOut", leftOut)
	}
}
