package loss

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// path joins two network namespaces by two TUN devices and a middlebox between them, which delays every packet and drops
// some of those that move from the server to the client. It belongs to the process: when its devices are closed, the kernel
// removes the namespaces too.
type path struct {
	client, server *namespace
	delay          time.Duration // of one way
	tcp            atomic.Int64  // packets with TCP payload from the server to the client, dropped ones included
	dropped        atomic.Int64  // how many of them were dropped

	loss   atomic.Uint64 // share of packets to drop, in 1/2^32
	random *rand.Rand    // of the goroutine that reads from the server
	done   sync.WaitGroup
}

var clientAddress, serverAddress = [4]byte{10, 99, 0, 1}, [4]byte{10, 99, 0, 2}

func newPath(delay time.Duration, seed uint64) (*path, error) {
	p := &path{delay: delay, random: rand.New(rand.NewPCG(seed, 1))}
	var err error
	if p.client, err = newNamespace(clientAddress); err != nil {
		return nil, err
	}
	if p.server, err = newNamespace(serverAddress); err != nil {
		p.client.Close()
		return nil, err
	}
	p.carry(p.client.tun, p.server.tun, func([]byte) bool { return false })
	p.carry(p.server.tun, p.client.tun, p.drops)
	return p, nil
}

// setLoss sets the share of packets that are dropped from now on.
func (p *path) setLoss(share float64) { p.loss.Store(uint64(share * (1 << 32))) }

func (p *path) Close() {
	p.client.Close()
	p.server.Close()
	p.done.Wait()
}

func (p *path) drops(packet []byte) bool {
	isLost := uint64(p.random.Uint32()) < p.loss.Load()
	if payload(packet) > 0 {
		p.tcp.Add(1)
		if isLost {
			p.dropped.Add(1)
		}
	}
	return isLost
}

// payload returns the length of an IPv4 packet's TCP payload, 0 for others.
func payload(packet []byte) int {
	if len(packet) < 40 || packet[0]>>4 != 4 || packet[9] != unix.IPPROTO_TCP {
		return 0
	}
	header := int(packet[0]&15) * 4
	if len(packet) < header+20 {
		return 0
	}
	return int(binary.BigEndian.Uint16(packet[2:])) - header - int(packet[header+12]>>4)*4
}

// carry passes packets on, late, until from is closed.
func (p *path) carry(from, to *os.File, drops func([]byte) bool) {
	type late struct {
		packet []byte
		due    time.Time
	}
	queue := make(chan late, 1<<14)
	p.done.Go(func() {
		defer close(queue)
		buffer := make([]byte, 1<<16)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			if buffer[0]>>4 == 4 && !drops(buffer[:n]) {
				queue <- late{append([]byte(nil), buffer[:n]...), time.Now().Add(p.delay)}
			}
		}
	})
	p.done.Go(func() {
		for l := range queue {
			time.Sleep(time.Until(l.due))
			_, _ = to.Write(l.packet)
		}
	})
}

// namespace is a network namespace with one TUN device. A thread of its own stays in it.
type namespace struct {
	tun   *os.File
	tasks chan func()
}

func newNamespace(address [4]byte) (*namespace, error) {
	n := &namespace{tasks: make(chan func())}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- fmt.Errorf("make a network namespace: %w", err)
			return
		}
		var err error
		n.tun, err = newTUN(address)
		made <- err
		if err != nil {
			return
		}
		for task := range n.tasks {
			task()
		}
	}()
	if err := <-made; err != nil {
		return nil, err
	}
	return n, nil
}

// do runs task inside the namespace.
func (n *namespace) do(task func()) {
	done := make(chan struct{})
	n.tasks <- func() { defer close(done); task() }
	<-done
}

func (n *namespace) Close() {
	close(n.tasks)
	_ = n.tun.Close()
}

// newTUN makes a TUN device in the namespace of the calling thread, which must be locked.
func newTUN(address [4]byte) (*os.File, error) {
	// Without this a connection begins with what an earlier one has learnt.
	if err := os.WriteFile("/proc/sys/net/ipv4/tcp_no_metrics_save", []byte("1"), 0); err != nil {
		return nil, fmt.Errorf("switch off the memory of paths: %w", err)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq("loss0")
	if err != nil {
		return nil, err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("make a TUN device: %w", err)
	}
	if err := raise(address); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "tun"), nil
}

// raise gives the device its address, a network of 24 bits, and sets it up.
func raise(address [4]byte) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	for _, step := range []struct {
		call uint
		set  func(*unix.Ifreq) error
	}{
		{unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(address[:]) }},
		{unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr([]byte{255, 255, 255, 0}) }},
		{unix.SIOCSIFTXQLEN, func(r *unix.Ifreq) error { r.SetUint32(10000); return nil }},
		{unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP); return nil }},
	} {
		request, err := unix.NewIfreq("loss0")
		if err == nil {
			err = step.set(request)
		}
		if err == nil {
			err = unix.IoctlIfreq(fd, step.call, request)
		}
		if err != nil {
			return fmt.Errorf("configure the TUN device: %w", err)
		}
	}
	return nil
}

// errNoCongestion says that the kernel lacks a congestion control.
var errNoCongestion = errors.New("the kernel lacks the congestion control")

// listen listens with a congestion control, which accepted connections inherit.
func listen(address, congestion string) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, congestion)
		})
		if failed != nil {
			failed = fmt.Errorf("%w %s: %w", errNoCongestion, congestion, failed)
		}
		return errors.Join(err, failed)
	}}
	config.SetMultipathTCP(false)
	return config.Listen(context.Background(), "tcp4", address)
}
