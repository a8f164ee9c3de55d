// Command load is the bench's own load generator, for machines without wrk: keep-alive connections, one request at a time
// on each, as fast as the answers come. It reports one line of figures, as the bench's wrk script does. It costs the
// machine more than wrk, so compare figures of runs with the same generator only.
package main

import (
	"bufio"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/test/bench/load"
)

func main() {
	target := flag.String("url", "", "what to ask for")
	host := flag.String("host", "", "Host header; a %d in it is replaced by a random number below --hosts")
	hosts := flag.Int("hosts", 1, "number of hosts")
	turn := flag.Int("turn", 0, "number of different requests to send in turn, for one host after the other; 0: for random hosts")
	method := flag.String("method", "GET", "request method")
	body := flag.Int("body", 0, "bytes of the request body")
	connections := flag.Int("connections", 64, "number of connections")
	duration := flag.Duration("duration", 3*time.Second, "how long")
	flag.Parse()
	where, err := url.Parse(*target)
	if err != nil {
		log.Fatal(err)
	}
	if *host == "" {
		*host = where.Host
	}
	requests := &source{all: make([]string, cmp.Or(*turn, *hosts)), inTurn: *turn > 0}
	for i := range requests.all {
		field := ""
		if requests.inTurn {
			field = load.TurnField + ": " + fmt.Sprintf(load.TurnFormat, i) + "\r\n"
		}
		name := strings.ReplaceAll(*host, "%d", strconv.Itoa(i%*hosts))
		requests.all[i] = request(*method, where.RequestURI(), name, field, *body)
	}
	begin := time.Now()
	total := run(where.Host, requests, *connections, begin.Add(*duration))
	total.print(os.Stdout, time.Since(begin))
}

// source is the requests that are sent. Any number of connections may take from it at once.
type source struct {
	all    []string
	inTurn bool // otherwise at random
	taken  atomic.Uint64
}

func (s *source) next() string {
	if s.inTurn {
		return s.all[(s.taken.Add(1)-1)%uint64(len(s.all))]
	}
	return s.all[rand.IntN(len(s.all))]
}

// request is the text of a request; fields are more lines of its head.
func request(method, target, host, fields string, body int) string {
	text := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n%s", method, target, host, fields)
	if body > 0 {
		text += fmt.Sprintf("Content-Type: application/octet-stream\r\nContent-Length: %d\r\n", body)
	}
	return text + "\r\n" + strings.Repeat("x", body)
}

// tally is what one connection saw, or all of them.
type tally struct {
	latencies                             []time.Duration // of complete answers
	bytes                                 int64
	connect, read, write, timeout, status int64
}

// run loads the address over n connections until the deadline.
func run(address string, requests *source, n int, deadline time.Time) tally {
	tallies := make([]tally, n)
	var group sync.WaitGroup
	for i := range tallies {
		group.Go(func() { tallies[i].load(address, requests, deadline) })
	}
	group.Wait()
	var total tally
	for _, t := range tallies {
		total.latencies = append(total.latencies, t.latencies...)
		total.bytes += t.bytes
		total.connect += t.connect
		total.read += t.read
		total.write += t.write
		total.timeout += t.timeout
		total.status += t.status
	}
	slices.Sort(total.latencies)
	return total
}

// load uses one connection, and another one whenever that fails.
func (t *tally) load(address string, requests *source, deadline time.Time) {
	for time.Now().Before(deadline) {
		conn, err := net.DialTimeout("tcp", address, 10*time.Second)
		if err != nil {
			t.connect++
			time.Sleep(10 * time.Millisecond)
			continue
		}
		t.use(conn, requests, deadline)
		_ = conn.Close()
	}
}

// use sends requests on a connection until it fails or the deadline has come.
func (t *tally) use(conn net.Conn, requests *source, deadline time.Time) {
	if err := conn.SetDeadline(deadline); err != nil {
		return
	}
	reader := bufio.NewReaderSize(counter{conn, &t.bytes}, 64<<10)
	for {
		begin := time.Now()
		if _, err := io.WriteString(conn, requests.next()); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.write++
			}
			return
		}
		status, err := answer(reader)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return
		case err != nil:
			t.read++
			return
		case status > 399:
			t.status++
		}
		t.latencies = append(t.latencies, time.Since(begin))
	}
}

// counter counts the bytes read through it.
type counter struct {
	io.Reader
	bytes *int64
}

func (c counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.bytes += int64(n)
	return n, err
}

// answer reads one response that has a Content-Length.
func answer(reader *bufio.Reader) (status int, err error) {
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 13 || string(line[:9]) != "HTTP/1.1 " {
		return 0, fmt.Errorf("status line %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, err
	}
	length := -1
	for {
		if line, err = reader.ReadSlice('\n'); err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		const name = "content-length:"
		if len(line) > len(name) && strings.EqualFold(string(line[:len(name)]), name) {
			if length, err = strconv.Atoi(strings.TrimSpace(string(line[len(name):]))); err != nil {
				return 0, err
			}
		}
	}
	if length < 0 {
		return 0, errors.New("no Content-Length")
	}
	_, err = reader.Discard(length)
	return status, err
}

func (t tally) print(out io.Writer, took time.Duration) {
	fmt.Fprintf(out, "figures requests=%d bytes=%d duration=%d p50=%d p99=%d connect=%d read=%d write=%d timeout=%d status=%d\n",
		len(t.latencies), t.bytes, took.Microseconds(), t.percentile(50).Microseconds(), t.percentile(99).Microseconds(),
		t.connect, t.read, t.write, t.timeout, t.status)
}

// percentile is 0 without any answer.
func (t tally) percentile(p int) time.Duration {
	if len(t.latencies) == 0 {
		return 0
	}
	return t.latencies[min(len(t.latencies)*p/100, len(t.latencies)-1)]
}
