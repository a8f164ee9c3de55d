package stream

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// leaveCheck is how often a client is looked at while an Endpoint is being dialled.
const leaveCheck = 250 * time.Millisecond

// departure looks whether a client leaves. Most dials are over before it looks for the first time, so it costs a timer.
type departure struct {
	raw     syscall.RawConn
	left    func()
	timer   atomic.Pointer[time.Timer]
	stopped atomic.Bool
}

// watchClient calls left, once, when the client has reset its connection, or closed it without having sent anything: the end of one
// direction after some bytes may be a client that waits for the answer. The function that it returns ends that.
func watchClient(nc net.Conn, left func()) (stop func()) {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return func() {}
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return func() {}
	}
	d := &departure{raw: raw, left: left}
	d.timer.Store(time.AfterFunc(leaveCheck, d.look))
	return d.stop
}

func (d *departure) look() {
	if d.stopped.Load() {
		return
	}
	if gone(d.raw) {
		d.left()
		return
	}
	if t := d.timer.Load(); t != nil {
		t.Reset(leaveCheck)
	}
}

func (d *departure) stop() {
	d.stopped.Store(true)
	d.timer.Load().Stop()
}
