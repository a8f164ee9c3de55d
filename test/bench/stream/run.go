package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// messageSize is the length of a message, in bytes.
const messageSize = 64

// Rally is a connection on which one message after the other goes to the endpoint, each when the one before has come back.
type Rally struct{ *socket }

// OpenRally opens a connection for messages.
func OpenRally(ctx context.Context, address string) (Rally, error) {
	s, err := open(ctx, address, echoes)
	return Rally{s}, err
}

// Close closes the connection.
func (r Rally) Close() { r.close() }

// Play sends messages for so long, one at least, and returns the times that they took. It may follow another one within the patience of
// the sockets, which is 20 s.
func (r Rally) Play(ctx context.Context, d time.Duration) ([]time.Duration, error) {
	message := make([]byte, messageSize)
	times := make([]time.Duration, 0, 1<<16)
	for end := time.Now().Add(d); ; {
		before := time.Now()
		err := r.write(message)
		if err == nil {
			err = r.readFull(message)
		}
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", len(times), err)
		}
		now := time.Now()
		times = append(times, now.Sub(before))
		if now.After(end) || ctx.Err() != nil {
			return times, ctx.Err()
		}
	}
}

// PingPong sends messages on a connection of its own for so long, and returns the times that they took.
func PingPong(ctx context.Context, address string, d time.Duration) ([]time.Duration, error) {
	r, err := OpenRally(ctx, address)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.Play(ctx, d)
}

// Bulk reads for so long what the endpoint sends as fast as it can, over one connection, and returns the number of bytes and the
// time from the first byte on.
func Bulk(ctx context.Context, address string, d time.Duration) (int64, time.Duration, error) {
	return receive(ctx, address, 1<<62, d)
}

// Transfer reads a number of bytes and returns the time from asking for them until the last one.
func Transfer(ctx context.Context, address string, bytes int64) (time.Duration, error) {
	began := time.Now()
	n, _, err := receive(ctx, address, bytes, time.Hour)
	if err == nil && n != bytes {
		err = fmt.Errorf("%d bytes came, not %d", n, bytes)
	}
	return time.Since(began), err
}

func receive(ctx context.Context, address string, most int64, d time.Duration) (n int64, took time.Duration, err error) {
	s, err := open(ctx, address, binary.BigEndian.AppendUint64([]byte{sends}, uint64(most))...)
	if err != nil {
		return 0, 0, err
	}
	defer s.close()
	buffer := make([]byte, chunk)
	if err := s.readFull(buffer[:1]); err != nil {
		return 0, 0, err
	}
	began := time.Now()
	for n = 1; n < most && took < d && ctx.Err() == nil; took = time.Since(began) {
		got, err := s.read(buffer)
		if err != nil {
			return n, took, fmt.Errorf("after %d bytes: %w", n, err)
		}
		n += int64(got)
	}
	return n, took, ctx.Err()
}

// Ending is what the endpoint does on a connection whose end is timed.
type Ending byte

const (
	// Ends: it says something and ends.
	Ends Ending = ends
	// Speaks: it says something and stays.
	Speaks Ending = holds
	// IsSilent: it says nothing and stays.
	IsSilent Ending = echoes
)

// End opens a connection and returns the time until the stream ended here, and whether it ended with a reset.
func End(ctx context.Context, address string, e Ending) (took time.Duration, isReset bool, err error) {
	began := time.Now()
	s, err := open(ctx, address, byte(e))
	if err != nil {
		return 0, false, err
	}
	defer s.close()
	for err == nil {
		_, err = s.read(make([]byte, messageSize))
	}
	took, isReset = time.Since(began), errors.Is(err, syscall.ECONNRESET)
	if !isReset && !errors.Is(err, io.EOF) {
		return took, false, err
	}
	return took, isReset, nil
}

// openers is the number of idle connections that are opened at a time.
const openers = 32

// Idle are connections on which one byte has gone to the endpoint and one has come back.
type Idle struct{ conns []net.Conn }

// OpenIdle opens n connections to address.
func OpenIdle(ctx context.Context, n int, address string) (*Idle, error) {
	idle := &Idle{conns: make([]net.Conn, n)}
	failures := make([]error, openers)
	var group sync.WaitGroup
	for first := range openers {
		group.Go(func() {
			for i := first; i < n && failures[first] == nil; i += openers {
				idle.conns[i], failures[first] = openIdle(ctx, address)
			}
		})
	}
	group.Wait()
	if err := errors.Join(failures...); err != nil {
		idle.Close()
		return nil, err
	}
	return idle, nil
}

func openIdle(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: patience, KeepAlive: -1}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err = conn.Write([]byte{holds}); err == nil {
		var first [1]byte
		if _, err = io.ReadFull(conn, first[:]); err == nil && first[0] != answer {
			err = fmt.Errorf("%q came, which the endpoint does not say", first[:])
		}
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("first byte of an idle connection: %w", err)
	}
	return conn, nil
}

// Close closes all connections.
func (i *Idle) Close() {
	for _, conn := range i.conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
}
