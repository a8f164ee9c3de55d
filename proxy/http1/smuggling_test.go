package http1

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

var moreSmuggling = flag.Int("smuggling", 0, "how many more requests TestSmuggling makes at random")

// meaning is what a field line about framing is for a recipient that does not guess.
type meaning uint8

const (
	absent   meaning = iota // there is none, or it is another field
	right                   // what it should be
	poisoned                // no recipient may accept it
)

// variant is a way to write Content-Length or Transfer-Encoding, with its lines.
type variant struct {
	lines   string
	meaning meaning
}

// codings are ways to write "Transfer-Encoding: chunked".
func codings() []variant {
	v := []variant{
		{"", absent},
		{"X-Transfer-Encoding: chunked\r\n", absent},
		{"TransferEncoding: chunked\r\n", absent},
		{"Transfer-Encodings: chunked\r\n", absent},
		{"X: y, Transfer-Encoding: chunked\r\n", absent},
		{"X: Transfer-Encoding: chunked\r\n", absent},
		{"TE: chunked\r\n", absent},
		{"Content-Encoding: chunked\r\n", absent},
		{"Transfer-Encoding: chunked\r\n", right},
		{"transfer-encoding:chunked\r\n", right},
		{"TRANSFER-ENCODING:\t CHUNKED \t\r\n", right},
		{"Transfer-Encoding: chunkeD\r\nX: y\r\n", right},
		{"Transfer-Encoding\r\n: chunked\r\n", poisoned},
		{"Transfer-Encoding: chunked\nX: y\r\n", poisoned},
		{"X: y\nTransfer-Encoding: chunked\r\n", poisoned},
		{"X: y\rTransfer-Encoding: chunked\r\n", poisoned},
		{"X: y\r\n Transfer-Encoding: chunked\r\n", poisoned},
		{"X: y\r\n\tTransfer-Encoding: chunked\r\n", poisoned},
		{"X: y\x00Transfer-Encoding: chunked\r\n", poisoned},
		{"Transfer-Encoding:\r\n chunked\r\n", poisoned},
		{"Transfer-Encoding:\r\n\tchunked\r\n", poisoned},
		{"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", poisoned},
		{"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", poisoned},
		{"Transfer-Encoding: identity\r\nX: y\r\nTransfer-Encoding: chunked\r\n", poisoned},
		{"Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n", poisoned},
		{"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", poisoned},
		{"Transfer_Encoding: chunked\r\n", poisoned},
	}
	for _, name := range []string{" Transfer-Encoding", "Transfer-Encoding ", "Transfer-Encoding\t", "\tTransfer-Encoding", "Transfer-Encoding\x00", "Transfer-Encoding\v",
		"Transfer-Encoding\x7f", "Transfer-Encoding\xa0", "\xffTransfer-Encoding", "Transfer\x00-Encoding", "Transfer Encoding", `"Transfer-Encoding"`, "(Transfer-Encoding)", ""} {
		v = append(v, variant{name + ": chunked\r\n", poisoned})
	}
	for _, value := range []string{"", "xchunked", "chunkedx", "chunked, chunked", "gzip, chunked", "chunked, gzip", "identity", "identity, chunked", "chunked, identity",
		"chunked;x", "chunked; a=b", ";chunked", ",chunked", "chunked,", ", chunked ,", "\vchunked", "\fchunked", "chunked\v", "chunked\x00", "\x00chunked", "chunked\x7f", "chunked\r",
		"\rchunked", `"chunked"`, "'chunked'", "chun ked", "c\thunked", "chunked chunked", ":chunked", "chunked:", "\xa0chunked", "chunked\x85", "chun\xe2\x84\xaaed", "[chunked]",
		"chunked\n", "x\r\n chunked", "cow", "0", "chunk", "\u200bchunked", "deflate", "compress", "chunked\\", "%63hunked"} {
		v = append(v, variant{"Transfer-Encoding: " + value + "\r\n", poisoned})
	}
	return v
}

// lengths are ways to write a Content-Length of n.
func lengths(n int) []variant {
	v := []variant{
		{"", absent},
		{fmt.Sprintf("X-Content-Length: %d\r\n", n), absent},
		{fmt.Sprintf("Content-Length: %d\r\n", n), right},
		{fmt.Sprintf("content-length:\t%03d \r\n", n), right},
		{fmt.Sprintf("Content-Length: %[1]d\r\nContent-Length: %[1]d\r\n", n), poisoned},
		{fmt.Sprintf("Content-Length: %d\r\nX: y\r\nContent-Length: 0\r\n", n), poisoned},
		{fmt.Sprintf("Content-Length: 0\r\ncontent-length: %d\r\n", n), poisoned},
		{fmt.Sprintf("Content-Length:\r\n %d\r\n", n), poisoned},
		{fmt.Sprintf("X: y\nContent-Length: %d\r\n", n), poisoned},
		{fmt.Sprintf("X: y\rContent-Length: %d\r\n", n), poisoned},
		{fmt.Sprintf("Content-Length : %d\r\n", n), poisoned},
		{fmt.Sprintf(" Content-Length: %d\r\n", n), poisoned},
		{fmt.Sprintf("Content-Length\x00: %d\r\n", n), poisoned},
		{fmt.Sprintf("Content_Length: %d\r\n", n), poisoned},
		{fmt.Sprintf("Connection: content-length\r\nContent-Length: %d\r\n", n), poisoned},
	}
	for _, f := range []string{"", "+%d", "-%d", "0x%x", "%d,%[1]d", "%d, 0", "0, %d", "%d,", ",%d", "%d %[1]d", "%d;", "%d.0", "%de0", `"%d"`, "\v%d", "%d\x00", "%d\r", "%d\n",
		"1844674407370955161%d", "99999999999999999999%d", "%d\xa0", "%d_0", "0b%b", "0o%o", "%xh"} {
		value := f
		if strings.Contains(f, "%") {
			value = fmt.Sprintf(f, n)
		}
		v = append(v, variant{"Content-Length: " + value + "\r\n", poisoned})
	}
	return v
}

const evil = "GET /evil HTTP/1.1\r\nHost: h\r\n\r\n"

// contents are what stands where the content should be; each is meant for a server that frames it in another way than ours.
var contents = []string{
	"0\r\n\r\n" + evil,
	evil,
	"5\r\nhello\r\n0\r\n\r\n" + evil,
	"1f\r\n" + evil + "\r\n0\r\n\r\n",
	"3\nabc\n0\n\n" + evil,
	"1;x\ny\r\na\r\n0\r\n\r\n" + evil,
	"0\r\nContent-Length: 33\r\n\r\n" + evil,
	"00000000000000000\r\n\r\n" + evil,
}

// layouts put the two fields into a head.
var layouts = []string{
	"POST /user HTTP/1.1\r\nHost: h\r\n%[1]s%[2]s\r\n",
	"GET /user HTTP/1.1\r\n%[2]s%[1]sHost: h\r\n\r\n",
	"PUT http://h/user HTTP/1.1\r\n%[1]sHost: h\r\nConnection: keep-alive\r\n%[2]s\r\n",
	"POST /user HTTP/1.0\r\nHost: h\r\n%[2]sConnection: keep-alive\r\n%[1]s\r\n",
}

// TestSmuggling sends requests whose framing is ambiguous for one server or another, each followed by another user's request on the
// same upstream connection. The oracle knows from the way the request was made whether it may pass, and how long its content is.
func TestSmuggling(t *testing.T) {
	s := newSweep(t)
	count := 0
	for _, layout := range layouts {
		for i, content := range contents {
			for j, c := range codings() {
				for k, l := range lengths(len(content)) {
					// Two poisoned fields prove little more than one: a part of those is enough.
					if c.meaning == poisoned && l.meaning == poisoned && (i+j+k)%12 != 0 {
						continue
					}
					s.send(layout, c, l, content)
					count++
				}
			}
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range *moreSmuggling {
		content := contents[random.IntN(len(contents))]
		if random.IntN(2) == 0 {
			content = mutate(random, content)
		}
		c, l := codings(), lengths(max(0, len(content)+random.IntN(5)-2))
		s.send(layouts[random.IntN(len(layouts))], c[random.IntN(len(c))], l[random.IntN(len(l))], content)
		count++
	}
	t.Logf("%d requests, %d accepted", count, s.accepted)
	if count < 20_000 || s.accepted < 500 {
		t.Errorf("only %d requests were sent and %d accepted", count, s.accepted)
	}
}

// sweep is a gateway and the connection of another user.
type sweep struct {
	t        *testing.T
	g        *gateway
	accepted int
}

func newSweep(t *testing.T) *sweep { return &sweep{t: t, g: newGateway(t, Config{})} }

// send makes a request, sends it and the other user's, and checks what came of both.
func (s *sweep) send(layout string, coding, length variant, content string) {
	head := fmt.Sprintf(layout, coding.lines, length.lines)
	old := strings.Contains(layout, "HTTP/1.0")
	in := head + content
	out := s.g.exchange(in)
	mine, refused := s.g.check(s.t, in)
	if coding.meaning == poisoned || length.meaning == poisoned || coding.meaning == right && (length.meaning == right || old) {
		got, rest := responses(out)
		if len(mine) > 0 || len(refused) != 1 || len(got) != 1 || rest != "" || got[0][0] != '4' && got[0][0] != '5' || !strings.HasSuffix(got[0], " close") {
			s.t.Fatalf("%q: accepted: responses %q and %q, the endpoint saw %v", in, got, rest, mine)
		}
		return // no upstream connection has been touched
	}
	s.accepted++
	s.next(in)
	want, whole := "", true
	switch {
	case coding.meaning == right:
		lim := Limits{}.withDefaults()
		d := decodeReference(content, &lim)
		want, whole = d.content, d.verdict == complete
	case length.meaning == right:
		n := 0
		_, _ = fmt.Sscanf(strings.TrimSpace(length.lines[len("Content-Length:"):]), "%d", &n)
		whole = n <= len(content)
		want = content[:min(n, len(content))]
	}
	if !whole {
		if len(mine) > 0 {
			s.t.Fatalf("%q: the endpoint saw %v, though the content is not complete", in, mine)
		}
		return
	}
	if len(mine) == 0 || mine[0].target != "/user" || mine[0].body != want {
		s.t.Fatalf("%q: responses %q, the endpoint saw %v, want content %q", in, out, mine, want)
	}
}

// next sends the request of another user, on the upstream connection that in has left.
func (s *sweep) next(in string) {
	victim, _ := responses(s.g.exchange("GET /victim HTTP/1.1\r\nHost: v\r\nConnection: close\r\n\r\n"))
	seen, _ := s.g.check(s.t, in)
	if fmt.Sprint(victim) != "[200 close]" || fmt.Sprint(seen) != fmt.Sprint([]entry{{method: "GET", target: "/victim", host: "v"}}) {
		s.t.Fatalf("%q: the next user got %q, the endpoint saw %v", in, victim, seen)
	}
}

// mutate changes a byte or two of p.
func mutate(random *rand.Rand, p string) string {
	b := []byte(p)
	for range 1 + random.IntN(2) {
		at := random.IntN(len(b))
		switch random.IntN(3) {
		case 0:
			b[at] = "\r\n 0;\x00"[random.IntN(6)]
		case 1:
			b = append(b[:at], b[at+1:]...)
		default:
			b = append(b[:at], append([]byte{"\r\n 0;\t"[random.IntN(6)]}, b[at:]...)...)
		}
	}
	return string(b)
}
