package http1

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// ledger is an endpoint that writes down each request it receives. It has a parser of its own, which knows only the one form in which
// the engine should write: anything else is a fault. What it accepts, every server understands in the same way.
type ledger struct {
	mu     sync.Mutex
	seen   []entry
	faults []string
	conns  sync.WaitGroup
}

// entry is a request that has arrived whole.
type entry struct {
	method, target, host string
	fields               []string // "Name: value", without Host and those about framing
	body                 string
	trailer              []string
}

func (e entry) String() string {
	return fmt.Sprintf("%s %s at %s with %q, content %q, trailer %q", e.method, e.target, e.host, e.fields, e.body, e.trailer)
}

var (
	ledgerRequest = regexp.MustCompile("^([-!#$%&'*+.^_`|~0-9A-Za-z]+) (/[!-\"$-~]*) HTTP/1\\.1\r\n$")
	ledgerField   = regexp.MustCompile("^([-!#$%&'*+.^_`|~0-9A-Za-z]+): (|[^\\x00- \\x7f]|[^\\x00- \\x7f][^\\x00-\\x08\\x0a-\\x1f\\x7f]*[^\\x00- \\x7f])\r\n$")
	ledgerLength  = regexp.MustCompile("^(0|[1-9][0-9]*)$")
	ledgerChunk   = regexp.MustCompile("^(0|[1-9a-f][0-9a-f]*)\r\n$")
)

// serve reads requests from nc until it ends.
func (l *ledger) serve(nc net.Conn) {
	defer l.conns.Done()
	defer nc.Close()
	in := bufio.NewReader(nc)
	for {
		e, err := readEntry(in)
		if err == io.EOF || err == io.ErrUnexpectedEOF || err == io.ErrClosedPipe {
			return
		}
		l.mu.Lock()
		if err != nil {
			l.faults = append(l.faults, err.Error())
		} else {
			l.seen = append(l.seen, e)
		}
		l.mu.Unlock()
		if err != nil {
			return
		}
		answer := e.method + " " + e.target
		if _, err := fmt.Fprintf(nc, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(answer), answer); err != nil {
			return
		}
	}
}

// take returns the entries and faults since the last call.
func (l *ledger) take() ([]entry, []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen, faults := l.seen, l.faults
	l.seen, l.faults = nil, nil
	return seen, faults
}

// readEntry reads one request. An error other than EOF is a fault.
func readEntry(in *bufio.Reader) (e entry, err error) {
	line, err := in.ReadString('\n')
	if err != nil {
		if line != "" && err == io.EOF {
			return e, io.ErrUnexpectedEOF
		}
		return e, err
	}
	m := ledgerRequest.FindStringSubmatch(line)
	if m == nil {
		return e, fmt.Errorf("request line %q", line)
	}
	e.method, e.target = m[1], m[2]
	fields, err := readLedgerFields(in)
	if err != nil {
		return e, err
	}
	var hosts, lengths, codings []string
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		switch strings.ToLower(name) {
		case "host":
			hosts = append(hosts, value)
		case "content-length":
			lengths = append(lengths, value)
		case "transfer-encoding":
			codings = append(codings, value)
		default:
			e.fields = append(e.fields, f)
		}
	}
	switch {
	case len(hosts) != 1:
		return e, fmt.Errorf("hosts %q", hosts)
	case len(lengths)+len(codings) > 1, len(codings) == 1 && codings[0] != "chunked", len(lengths) == 1 && !ledgerLength.MatchString(lengths[0]):
		return e, fmt.Errorf("lengths %q and codings %q", lengths, codings)
	}
	e.host = hosts[0]
	if len(codings) == 1 {
		e.body, e.trailer, err = readLedgerChunks(in)
	} else if len(lengths) == 1 {
		e.body, err = readLedgerBytes(in, lengths[0], 10)
	}
	return e, err
}

// readLedgerFields reads field lines up to the empty line.
func readLedgerFields(in *bufio.Reader) (fields []string, err error) {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, io.ErrUnexpectedEOF
		}
		if line == "\r\n" {
			return fields, nil
		}
		if !ledgerField.MatchString(line) {
			return nil, fmt.Errorf("field line %q", line)
		}
		fields = append(fields, strings.TrimSuffix(line, "\r\n"))
	}
}

func readLedgerBytes(in *bufio.Reader, length string, base int) (string, error) {
	n, err := strconv.ParseUint(length, base, 31)
	if err != nil {
		return "", io.ErrUnexpectedEOF // more than any test sends
	}
	var b strings.Builder
	if _, err := io.CopyN(&b, in, int64(n)); err != nil {
		return "", io.ErrUnexpectedEOF
	}
	return b.String(), nil
}

func readLedgerChunks(in *bufio.Reader) (body string, trailer []string, err error) {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return "", nil, io.ErrUnexpectedEOF
		}
		m := ledgerChunk.FindStringSubmatch(line)
		if m == nil {
			return "", nil, fmt.Errorf("chunk size %q", line)
		}
		if m[1] == "0" {
			trailer, err = readLedgerFields(in)
			return body, trailer, err
		}
		data, err := readLedgerBytes(in, m[1], 16)
		if err != nil {
			return "", nil, err
		}
		body += data
		var end [2]byte
		if _, err := io.ReadFull(in, end[:]); err != nil {
			return "", nil, io.ErrUnexpectedEOF
		}
		if string(end[:]) != "\r\n" {
			return "", nil, fmt.Errorf("%q behind chunk", end)
		}
	}
}

// without returns the fields of e that none of the names is the name of.
func (e entry) without(names ...string) []string {
	return slices.DeleteFunc(slices.Clone(e.fields), func(f string) bool {
		name, _, _ := strings.Cut(f, ":")
		return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
	})
}
