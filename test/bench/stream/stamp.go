package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// Stamped is a connection whose bytes bear the time at which the kernel got them for it (SO_TIMESTAMPNS, socket(7)). So it does not
// matter when they are read, nor how long the reader has waited for a processor. StartStamps comes first.
type Stamped struct {
	*socket
	at      time.Time
	control [64]byte // for the stamp; one takes 32 bytes
}

// Dial connects to an address, from an address of this machine if source is given.
func Dial(ctx context.Context, address string, source net.IP) (*Stamped, error) {
	s, err := dial(ctx, address, source)
	if err != nil {
		return nil, err
	}
	if err := syscall.SetsockoptInt(s.fd, syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1); err != nil {
		s.close()
		return nil, fmt.Errorf("ask for times of arrival: %w", err)
	}
	return &Stamped{socket: s}, nil
}

// StartStamps has the kernel stamp what arrives, until stop is called. It does so for as long as some socket asks for it, but begins a
// while after the first one has: the stamps of Stamped connections can be relied on when StartStamps has returned.
func StartStamps() (stop func(), err error) {
	var live Live
	defer func() {
		if err != nil {
			live.Close()
		}
	}()
	senders, err := live.accept(1)
	if err != nil {
		return nil, err
	}
	defer senders[0].close()
	for began := time.Now(); ; {
		if err := senders[0].write([]byte{answer}); err != nil {
			return nil, err
		}
		_, err := live.all[0].Read(make([]byte, 1))
		switch {
		case err == nil:
			return live.Close, nil
		case !errors.Is(err, errNoStamp) || time.Since(began) > patience:
			return nil, err
		}
	}
}

// errNoStamp is what a read meets without StartStamps.
var errNoStamp = errors.New("the kernel gave no time of arrival")

// Close closes the connection.
func (s *Stamped) Close() { s.close() }

// Read waits for at least one byte. At is then when the last byte of them arrived.
func (s *Stamped) Read(p []byte) (int, error) {
	var controls int
	n, err := received("recvmsg", func() (n int, err error) {
		n, controls, _, _, err = syscall.Recvmsg(s.fd, p, s.control[:], 0)
		return n, err
	})
	if err == nil {
		s.at, err = stampIn(s.control[:controls])
	}
	return n, err
}

// Write sends all bytes.
func (s *Stamped) Write(p []byte) (int, error) {
	if err := s.write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// At is when the bytes of the last Read arrived, by the wall clock.
func (s *Stamped) At() time.Time { return s.at }

// isQuiet tells that nothing has come that has not been read.
func (s *Stamped) isQuiet() bool {
	_, _, err := syscall.Recvfrom(s.fd, make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err == syscall.EAGAIN
}

// stampIn finds the time of arrival in the control messages of a read.
func stampIn(controls []byte) (time.Time, error) {
	messages, err := syscall.ParseSocketControlMessage(controls)
	if err != nil {
		return time.Time{}, os.NewSyscallError("parse control messages", err)
	}
	for _, m := range messages {
		if m.Header.Level == syscall.SOL_SOCKET && m.Header.Type == syscall.SO_TIMESTAMPNS && len(m.Data) >= 16 {
			word := func(at int) int64 { return int64(binary.NativeEndian.Uint64(m.Data[at:])) }
			return time.Unix(word(0), word(8)), nil // a timespec of 64-bit systems
		}
	}
	return time.Time{}, errNoStamp
}
