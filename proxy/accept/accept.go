// Package accept takes connections from listeners.
package accept

import (
	"errors"
	"net"
	"time"
)

const (
	// firstPause is the pause after an error, for instance when the process has run out of descriptors. It doubles with each that
	// follows at once.
	firstPause = 5 * time.Millisecond
	// maxPause bounds it.
	maxPause = time.Second
	// tellEvery is how often at the most failures are told of: where descriptors come free one by one, every other attempt fails, and
	// clients can make it so.
	tellEvery = 10 * time.Second
)

// Loop hands each connection that ln accepts to take, until ln or done is closed, or take returns false. After an error it pauses, and
// tells failed, at most every 10 s. Who closes done must close ln, too.
func Loop(ln net.Listener, done <-chan struct{}, take func(net.Conn) bool, failed func(err error, retryIn time.Duration)) {
	pause, told := time.Duration(0), time.Time{}
	for {
		nc, err := ln.Accept()
		if err == nil {
			pause = 0
			if !take(nc) {
				return
			}
			continue
		}
		if errors.Is(err, net.ErrClosed) || isClosed(done) {
			return
		}
		pause = min(max(2*pause, firstPause), maxPause)
		if told.IsZero() || time.Since(told) >= tellEvery {
			told = time.Now()
			failed(err, pause)
		}
		select {
		case <-done:
			return
		case <-time.After(pause):
		}
	}
}

func isClosed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
