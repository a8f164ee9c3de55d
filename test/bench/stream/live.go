package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// sources is the number of addresses that the clients of Live streams have: no one address runs out of ports.
const sources = 8

// Live are open streams to an endpoint that sends every byte back.
type Live struct{ all []*Stamped }

// OpenLive opens n streams to address, from several addresses of the loopback interface.
func OpenLive(ctx context.Context, n int, address string) (*Live, error) {
	live := &Live{all: make([]*Stamped, n)}
	failures := make([]error, openers)
	var group sync.WaitGroup
	for first := range openers {
		group.Go(func() {
			for i := first; i < n && failures[first] == nil; i += openers {
				live.all[i], failures[first] = openLive(ctx, address, net.IPv4(127, 0, 0, byte(1+i%sources)))
			}
		})
	}
	group.Wait()
	if err := errors.Join(failures...); err != nil {
		live.Close()
		return nil, err
	}
	return live, nil
}

func openLive(ctx context.Context, address string, source net.IP) (*Stamped, error) {
	s, err := Dial(ctx, address, source)
	if err == nil {
		if err = s.write([]byte{returns}); err != nil {
			s.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open a stream from %v: %w", source, err)
	}
	return s, nil
}

// Send sends a byte on each stream.
func (l *Live) Send() error {
	for i, s := range l.all {
		if err := s.write([]byte{answer}); err != nil {
			return fmt.Errorf("stream %d: %w", i, err)
		}
	}
	return nil
}

// Arrivals waits for a byte on each stream and returns when each of them arrived.
func (l *Live) Arrivals() ([]time.Time, error) {
	times := make([]time.Time, len(l.all))
	for i, s := range l.all {
		if _, err := s.Read(make([]byte, 1)); err != nil {
			return nil, fmt.Errorf("stream %d: %w", i, err)
		}
		times[i] = s.At()
	}
	return times, nil
}

// Quiet is the number of streams on which nothing waits to be read.
func (l *Live) Quiet() int {
	n := 0
	for _, s := range l.all {
		if s.isQuiet() {
			n++
		}
	}
	return n
}

// Close resets all streams: thousands of ports that wait for late segments (TIME_WAIT) could not be listened on for a minute.
func (l *Live) Close() {
	for _, s := range l.all {
		if s != nil {
			_ = syscall.SetsockoptLinger(s.fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
			s.Close()
		}
	}
	l.all = nil
}

// Floor is what nothing that acts on n streams can be faster than: one thread writes a byte to each of n connections on loopback, one
// after the other. The times are those from before the first write until each byte was at its receiver.
func Floor(n int) ([]time.Duration, error) {
	var live Live
	defer live.Close()
	senders, err := live.accept(n)
	defer func() {
		for _, s := range senders {
			s.close()
		}
	}()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	for _, s := range senders {
		if err := s.write([]byte{answer}); err != nil {
			return nil, err
		}
	}
	arrived, err := live.Arrivals()
	times := make([]time.Duration, len(arrived))
	for i, at := range arrived {
		times[i] = at.Sub(began)
	}
	return times, err
}

// accept opens n connections within the process, and returns their other ends.
func (l *Live) accept(n int) (senders []*socket, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	for range n {
		client, err := Dial(context.Background(), listener.Addr().String(), nil)
		if err != nil {
			return senders, err
		}
		l.all = append(l.all, client)
		conn, err := listener.Accept()
		if err != nil {
			return senders, err
		}
		sender, err := newSocket(conn.(*net.TCPConn))
		if err != nil {
			return senders, err
		}
		senders = append(senders, sender)
	}
	return senders, nil
}
