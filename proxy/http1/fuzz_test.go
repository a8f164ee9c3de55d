package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// prefixes returns lengths at which to cut n bytes: all of them if they are few.
func prefixes(n int) []int {
	step := 1 + n/300
	var at []int
	for i := 0; i < n; i += step {
		at = append(at, i)
	}
	return at
}

// FuzzRequestHead: what is parsed, written and parsed again is the same request; what is written has the one form that a strict parser
// of another make takes; bytes behind the head make no difference; a prefix needs more or is refused for the same reason.
func FuzzRequestHead(f *testing.F) {
	for _, c := range refusedOnTheWire {
		if len(c.head) < 1000 {
			f.Add(c.head)
		}
	}
	for _, s := range []string{
		get("A: b", "Connection: a, close", "TE: trailers"), get("Upgrade: websocket", "Connection: upgrade"), "\r\n" + get(), absolute("http://h?q", "h"),
		post("Content-Length: 5", "Expect: 100-continue") + "hello", post("Transfer-Encoding: chunked") + "0\r\n\r\n", host("[::1]:80"), host("H.:80"),
		lines("GET /%41/../%2f?q HTTP/1.0", "Connection: keep-alive"),
	} {
		f.Add(s)
	}
	lim, wide := Limits{}.withDefaults(), Limits{RequestLine: 1 << 20, HeaderCount: 1000}.withDefaults()
	f.Fuzz(func(t *testing.T, in string) {
		r, fr, more, err := parseHead(in, &lim)
		end := len(in)
		if !more && err == nil {
			end = fr.size
		}
		for _, n := range prefixes(end) {
			if _, _, pmore, perr := parseHead(in[:n], &lim); !pmore && (perr == nil || perr != err) {
				t.Fatalf("%d bytes: %v, all: %v", n, perr, err)
			}
		}
		if more || err != nil {
			return
		}
		if r2, f2, _, err := parseHead(in[:fr.size]+"\x00\n\r: \xff", &lim); err != nil || summary(r, &fr) != summary(r2, &f2) || fr != f2 {
			t.Fatalf("with something behind: %s, %v, alone: %s", summary(r2, &f2), err, summary(r, &fr))
		}
		if len(r.Authority) == 0 { // HTTP/1.0 without Host
			return
		}
		out := string(appendRequestHead(nil, &proxy.Exchange{Request: *r}, fr.chunked, r.Expect))
		e, err := readEntry(bufio.NewReader(strings.NewReader(out + "0\r\n\r\n")))
		if err != nil && err != io.ErrUnexpectedEOF {
			t.Fatalf("%q is not strict: %v", out, err)
		}
		if e.method != string(r.Method) || e.host != string(r.Authority) {
			t.Fatalf("%q is read as %v", out, e)
		}
		again, fa, more, err := parseHead(out, &wide)
		if more || err != nil || fa.size != len(out) {
			t.Fatalf("%q: %v (more: %v)", out, err, more)
		}
		// What the engine says anew on each connection.
		r.Minor, fr.keepAlive = 1, true
		r.Trailers = r.Trailers && len(r.Upgrade) == 0
		if summary(r, &fr) != summary(again, &fa) {
			t.Fatalf("%q:\n was %s\n now %s", out, summary(r, &fr), summary(again, &fa))
		}
	})
}

// FuzzResponseHead is FuzzRequestHead for responses.
func FuzzResponseHead(f *testing.F) {
	for _, s := range []string{
		ok("Content-Length: 5") + "hello", ok("Transfer-Encoding: chunked"), ok(), status("204"), status("304 Not Modified", "Content-Length: 5"), status("100 Continue"),
		status("101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket"), lines("HTTP/1.0 200 OK", "Connection: keep-alive"), ok("A : b"), ok("A: b", " c"),
		ok("Content-Length: 5", "Content-Length: 5"), ok("Connection: a", "A: b"), "HTTP/1.1 200 OK\nA: b\n\n", "HTTP/2.0 200\r\n\r\n",
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	lim, wide := Limits{AllowUnderscores: true}.withDefaults(), Limits{AllowUnderscores: true, HeaderCount: 1000}.withDefaults()
	f.Fuzz(func(t *testing.T, in string, toHead bool) {
		r, fr, more, err := parseResponseHead(in, &lim, toHead)
		end := len(in)
		if !more && err == nil {
			end = fr.size
		}
		for _, n := range prefixes(end) {
			if _, _, pmore, perr := parseResponseHead(in[:n], &lim, toHead); !pmore && (perr == nil || perr != err) {
				t.Fatalf("%d bytes: %v, all: %v", n, perr, err)
			}
		}
		if more || err != nil {
			return
		}
		ways := 0
		for _, on := range []bool{fr.chunked, fr.untilClose, fr.length > 0} {
			if on {
				ways++
			}
		}
		if ways > 1 || toHead && ways > 0 || fr.untilClose && fr.keepAlive {
			t.Fatalf("framing %+v", fr)
		}
		out := appendFields(appendStatusLine(nil, r.Status, r.Reason), &r.Header)
		again, fa, more, err := parseResponseHead(string(append(out, crlf...)), &wide, toHead)
		if more || err != nil || fa.size != len(out)+2 || again.Status != r.Status || r.Reason != nil && !bytes.Equal(again.Reason, r.Reason) {
			t.Fatalf("%q: %v (more: %v)", out, err, more)
		}
		fields := func(h proxy.Header) string { h.Del("Upgrade"); return fmt.Sprintf("%q", h.Fields) }
		if fields(r.Header) != fields(again.Header) {
			t.Fatalf("%q: was %q, is %q", out, r.Header.Fields, again.Header.Fields)
		}
	})
}

// FuzzChunked: the decoder agrees with the reference, in one piece, split anywhere and byte by byte; what it has decoded can be
// encoded and decoded again.
func FuzzChunked(f *testing.F) {
	for _, s := range []string{
		"5\r\nhello\r\n0\r\n\r\n", "1;a=\"b\\\"\"\r\nx\r\n0;c\r\nT: u\r\nV:\r\n\r\nGET", "0\r\nContent-Length: 5\r\n\r\n", "a\r\n0123456789\r\n00\r\n\r\n", "5 \r\nhello\r\n",
		"1\na\n0\n\n", "fffffffffffffff\r\nx", "1\r\nab\r\n", "0\r\nA: b\r\n c\r\n\r\n", "0\r\nTE: trailers\r\nTE: x\r\n\r\n", "0\r\n\rX", "0\r\n0\r0", "0\r\nContent-Length: 0\r\n", "1;a=\"\\\x00\"\r\nx\r\n0\r\n\r\n",
	} {
		f.Add(s, uint(4), uint8(3))
	}
	lim := Limits{HeaderBytes: 600, HeaderCount: 8}.withDefaults()
	f.Fuzz(func(t *testing.T, in string, at uint, room uint8) {
		whole, err := decodeParts(&lim, 1<<20, in)
		want := decodeReference(in, &lim)
		switch {
		case want.verdict == wantsMore && whole.verdict == invalid: // found before the end of the line
		case want.verdict == invalid && whole.verdict == wantsMore: // to be found at the end of the line or the trailer section
			if got, _ := decodeParts(&lim, 1<<20, in, "\r\n\r\n"); got.verdict != invalid {
				t.Fatalf("%q: decoded %+v, the reference says %+v", in, got, want)
			}
		case want.verdict != whole.verdict, want.verdict != invalid && want != whole:
			t.Fatalf("%q: decoded %+v, %v, the reference says %+v", in, whole, err, want)
		}
		at %= uint(len(in) + 1)
		for i, parts := range [][]string{{in[:at], in[at:]}, strings.Split(in, "")} {
			got, gerr := decodeParts(&lim, 1+int(room), parts...)
			if whole.verdict == invalid && got.verdict == wantsMore { // it waits for the end of a line that has gone wrong
				got, gerr = decodeParts(&lim, 1+int(room), append(slices.Clone(parts), "\r\n")...)
			}
			if whole.verdict == invalid { // a line may have gone wrong in two ways
				got.content, gerr = whole.content, err
			}
			if got != whole || gerr != err {
				t.Fatalf("%q in parts (%d): %+v, %v, in one piece: %+v, %v", in, i, got, gerr, whole, err)
			}
		}
		if whole.verdict != complete {
			return
		}
		var out []byte
		buf := make([]byte, chunkRoom+1+int(room)+len(crlf))
		for rest := whole.content; len(rest) > 0; {
			n := copy(buf[chunkRoom:chunkRoom+1+int(room)], rest)
			out = append(out, frameChunk(buf, n)...)
			rest = rest[n:]
		}
		dec := &chunkDecoder{}
		dec.reset(&lim)
		for p := []byte(in); !dec.done(); {
			_, used, _ := dec.next(p)
			p = p[used:]
		}
		out = appendLastChunk(out, &dec.trailer)
		again, err := decodeParts(&lim, 1<<20, string(out))
		if again.content != whole.content || again.trailer != whole.trailer || again.used != len(out) {
			t.Fatalf("%q encoded as %q is decoded to %+v, %v", whole.content, out, again, err)
		}
	})
}

// FuzzPath: what is accepted is in normal form and stays as it is when it is normalised again.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"/", "/a/../b", "/%2e%2E/", "/a%2f..", "/..;/", "//a//", "/%41%7a%c3%A9", "/a/./b/.", "/..%5c", "/.%2e;x", "/%", "/%00", `/\`, "/a//../b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if !strings.HasPrefix(in, "/") {
			return
		}
		path, err := normalizePath([]byte(in))
		if err != nil {
			return
		}
		checkNormal(t, path)
		// A decoder that comes later must not find a dot segment.
		later, err := url.PathUnescape(string(path))
		if err != nil {
			t.Fatalf("%q becomes %q: %v", in, path, err)
		}
		for _, seg := range strings.FieldsFunc(later, func(r rune) bool { return r == '/' || r == '\\' }) {
			if seg, _, _ = strings.Cut(seg, ";"); seg == "." || seg == ".." {
				t.Fatalf("%q becomes %q, which hides a dot segment", in, path)
			}
		}
	})
}

var hostGrammar = regexp.MustCompile(`^(?:([-._~!$&'()*+,;=0-9A-Za-z]{1,255})|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{0,5}))?$`)

// FuzzHost: what is accepted is the grammar of RFC 9110 section 7.2, and net/url sees the same host and port.
func FuzzHost(f *testing.F) {
	for _, s := range []string{"h", "EXAMPLE.com:80", "[::1]:8080", "[::ffff:1.2.3.4]", "h.", "h..", "a@b", "h:65536", "h:", "[v1.a]", "[fe80::1%25a]", "a,b", "h:080", "%41", "[::", "::1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		r := &proxy.Request{}
		err := parseHost([]byte(in), r)
		m := hostGrammar.FindStringSubmatch(in)
		valid := m != nil && in != "." && !strings.HasPrefix(in, ".:") && !strings.HasSuffix(strings.TrimSuffix(m[1], "."), ".")
		if valid && m[2] != "" {
			_, perr := netip.ParseAddr(m[2])
			valid = perr == nil && strings.Contains(m[2], ":")
		}
		if valid && len(m[3]) == 5 {
			valid = m[3] <= "65535"
		}
		if valid != (err == nil) {
			t.Fatalf("%q: %v, by the grammar it is valid: %v", in, err, valid)
		}
		if err != nil {
			return
		}
		if string(r.Authority) != strings.ToLower(in) {
			t.Fatalf("%q: authority %q", in, r.Authority)
		}
		u, err := url.Parse("http://" + in + "/")
		if err != nil {
			t.Fatalf("%q is accepted, net/url says %v", in, err)
		}
		name := strings.TrimSuffix(strings.Trim(string(r.Host), "[]"), ".")
		if name != strings.TrimSuffix(strings.ToLower(u.Hostname()), ".") || len(u.Port()) > 0 && !strings.HasSuffix(string(r.Authority), ":"+u.Port()) {
			t.Fatalf("%q: host %q, net/url says %q and %q", in, r.Host, u.Hostname(), u.Port())
		}
		again := &proxy.Request{}
		if err := parseHost(bytes.Clone(r.Host), again); err != nil || !bytes.Equal(again.Host, r.Host) {
			t.Fatalf("%q: host %q becomes %q, %v", in, r.Host, again.Host, err)
		}
	})
}
