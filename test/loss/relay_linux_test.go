package loss

import (
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// relay is a proxy to address that delays each direction and lets loss act on what moves to the client.
func relay(address string, delay time.Duration, loss toxic.PacketLoss) (net.Listener, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	var ordinal atomic.Uint64
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp4", address)
			if err != nil {
				client.Close()
				continue
			}
			site := toxic.Site{Rand: rand.New(rand.NewPCG(7, ordinal.Add(1)))}
			go pass(server, client, delay, toxic.ShaperFunc(func(c toxic.Chunk, emit func(toxic.Chunk)) { emit(c) }))
			go pass(client, server, delay, loss.New(site))
		}
	}()
	return l, nil
}

func pass(to, from net.Conn, delay time.Duration, s toxic.Shaper) {
	began := time.Now()
	queue := make(chan toxic.Chunk, 1<<16)
	go func() {
		defer to.Close()
		for c := range queue {
			time.Sleep(c.Due + delay - time.Since(began))
			if _, err := to.Write(c.Data); err != nil || c.End == toxic.FIN {
				break
			}
		}
		for range queue {
		}
	}()
	for {
		buffer := make([]byte, 32<<10)
		n, err := from.Read(buffer)
		c := toxic.Chunk{Data: buffer[:n], Due: time.Since(began)}
		if err != nil {
			c.End = toxic.FIN
		}
		s.Shape(c, func(c toxic.Chunk) { queue <- c })
		if err != nil {
			close(queue)
			if err != io.EOF {
				from.Close()
			}
			return
		}
	}
}
