// Command backend is the server behind every proxy of the bench: it answers from memory over bare sockets, so that it
// takes as little as possible of the machine that it shares with the proxy under measurement. It speaks just enough
// HTTP/1.1 for that: requests with a Content-Length or no body, answered with a Content-Length. It is no general server.
//
//	GET  /small   43 bytes          POST /post  reads the body, answers 2 bytes
//	GET  /100k    100 KiB           GET  /head  the request's own head, as it arrived
//	GET  /10m     10 MiB            GET  /stats connections accepted since the start
//	any other     the value of --name (so that two backends can be told apart), and in X-Received when the request was here
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// chunkSize is the unit in which long bodies are written, small enough to stay in the processor's cache.
const chunkSize = 256 << 10

// headLimit is the longest request head that is accepted, in bytes.
const headLimit = 16 << 10

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	name := flag.String("name", "a", "the body of every path that has none of its own")
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	b := newBackend(*name)
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		b.accepted.Add(1)
		go b.serve(conn)
	}
}

type answer struct {
	head []byte
	body int // bytes; taken from the filler, repeated
}

type backend struct {
	short    map[string][]byte // whole responses by path
	long     map[string]answer
	other    []byte
	date     string
	filler   []byte
	accepted atomic.Int64
}

func newBackend(name string) *backend {
	b := &backend{date: time.Now().UTC().Format(http.TimeFormat), filler: bytes.Repeat([]byte("breakwater-bench"), chunkSize/16)}
	b.short = map[string][]byte{
		"/small": b.response([]byte("The quick brown fox jumps over the lazy dog")),
		"/post":  b.response([]byte("ok")),
	}
	b.long = map[string]answer{
		"/100k": {b.head(100 << 10), 100 << 10},
		"/10m":  {b.head(10 << 20), 10 << 20},
	}
	b.other = []byte(name)
	return b
}

func (b *backend) head(length int) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n", b.date, length)
}

func (b *backend) response(body []byte) []byte { return append(b.head(len(body)), body...) }

func (b *backend) serve(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, 0, headLimit)
	for {
		request, rest, err := readRequest(conn, buffer)
		if err != nil {
			var bad badRequest
			if errors.As(err, &bad) {
				fmt.Fprintf(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nX-Reason: %s\r\nConnection: close\r\n\r\n", string(bad))
			}
			return
		}
		if err := b.answer(conn, request); err != nil {
			return
		}
		buffer = buffer[:copy(buffer[:cap(buffer)], rest)]
	}
}

func (b *backend) answer(conn net.Conn, request request) error {
	if whole, ok := b.short[string(request.path)]; ok {
		_, err := conn.Write(whole)
		return err
	}
	if long, ok := b.long[string(request.path)]; ok {
		return b.writeLong(conn, long)
	}
	var whole []byte
	switch string(request.path) {
	case "/head":
		whole = b.response(request.head)
	case "/stats":
		whole = b.response(strconv.AppendInt(nil, b.accepted.Load(), 10))
	default:
		whole = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nX-Received: %d\r\nContent-Length: %d\r\n\r\n%s", time.Now().UnixNano(), len(b.other), b.other)
	}
	_, err := conn.Write(whole)
	return err
}

// writeLong sends a body that does not fit one write; the head travels with the first chunk.
func (b *backend) writeLong(conn net.Conn, long answer) error {
	first := min(long.body, chunkSize)
	buffers := net.Buffers{long.head, b.filler[:first]}
	if _, err := buffers.WriteTo(conn); err != nil {
		return err
	}
	for left := long.body - first; left > 0; {
		n, err := conn.Write(b.filler[:min(left, chunkSize)])
		if err != nil {
			return err
		}
		left -= n
	}
	return nil
}

// badRequest is a request that this backend does not speak, with the reason.
type badRequest string

func (b badRequest) Error() string { return string(b) }

// request is a view into the connection's buffer, valid until the next read.
type request struct {
	head []byte
	path []byte
}

// readRequest reads one request, its body included, into buffer (which may begin with bytes read before) and returns it
// with the bytes that follow it.
func readRequest(conn net.Conn, buffer []byte) (request, []byte, error) {
	end := bytes.Index(buffer, []byte("\r\n\r\n"))
	for end < 0 {
		if len(buffer) == cap(buffer) {
			return request{}, nil, badRequest("head too long")
		}
		n, err := conn.Read(buffer[len(buffer):cap(buffer)])
		if err != nil {
			return request{}, nil, err
		}
		buffer = buffer[:len(buffer)+n]
		end = bytes.Index(buffer, []byte("\r\n\r\n"))
	}
	head := buffer[:end+4]
	path, length, err := parseHead(head)
	if err != nil {
		return request{}, nil, err
	}
	rest := buffer[len(head):]
	if missing := length - len(rest); missing > 0 {
		if err := discard(conn, missing); err != nil {
			return request{}, nil, err
		}
		return request{head, path}, nil, nil
	}
	return request{head, path}, rest[length:], nil
}

// parseHead finds the path and the Content-Length (0 if absent).
func parseHead(head []byte) (path []byte, length int, err error) {
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	_, target, ok := bytes.Cut(line, []byte(" "))
	path, _, ok2 := bytes.Cut(target, []byte(" "))
	if !ok || !ok2 {
		return nil, 0, badRequest("no request line")
	}
	for len(fields) > 0 {
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case len(name) == len("Content-Length") && bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil || length < 0 {
				return nil, 0, badRequest("bad Content-Length")
			}
		case len(name) == len("Transfer-Encoding") && bytes.EqualFold(name, []byte("Transfer-Encoding")):
			return nil, 0, badRequest("no Transfer-Encoding here")
		}
	}
	return path, length, nil
}

func discard(conn net.Conn, n int) error {
	sink := make([]byte, min(n, 4096))
	for n > 0 {
		got, err := conn.Read(sink[:min(n, len(sink))])
		if err != nil {
			return err
		}
		n -= got
	}
	return nil
}
