package fault

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// referenceEnds returns the offsets at which the events of a stream are complete, by the letter of WHATWG HTML section 9.2.6: the
// whole stream is split into lines first. A CR LF at the end of an event belongs to it.
func referenceEnds(s string) (ends []int) {
	at, data := 0, false
	if strings.HasPrefix(s, "\ufeff") {
		at = len("\ufeff")
	}
	for at < len(s) {
		i := strings.IndexAny(s[at:], "\r\n")
		if i < 0 {
			return ends // an incomplete line at the end counts for nothing
		}
		line := s[at : at+i]
		at += i + 1
		if s[at-1] == '\r' && at < len(s) && s[at] == '\n' {
			at++
		}
		if line == "" {
			if data {
				ends = append(ends, at)
			}
			data = false
			continue
		}
		name, _, _ := strings.Cut(line, ":")
		data = data || name == "data"
	}
	return ends
}

// ends scans s in pieces.
func ends(s string, piece int) (ends []int) {
	var e eventScanner
	for at := 0; at < len(s); {
		end := min(at+max(piece, 1), len(s))
		for at < end {
			used, complete := e.next([]byte(s[at:end]))
			at += used
			if complete {
				ends = append(ends, at)
			}
		}
	}
	return ends
}

func checkEnds(t *testing.T, s string, piece int) {
	t.Helper()
	want, got := referenceEnds(s), ends(s, piece)
	if len(want) != len(got) {
		t.Fatalf("%q in pieces of %d: events end at %v, want %v", s, piece, got, want)
	}
	for i := range got {
		// A CR that ends a piece ends the event; that an LF follows is not known yet.
		if got[i] != want[i] && (got[i] != want[i]-1 || s[got[i]] != '\n' || got[i]%max(piece, 1) != 0) {
			t.Fatalf("%q in pieces of %d: events end at %v, want %v", s, piece, got, want)
		}
	}
}

var streams = []string{
	"", "\n", "\n\n", "data", "data\n\n", "data:\n\n", "data: x\n\n", "datax: x\n\n", "dat\n\n", "Data: x\n\n", " data: x\n\n",
	"data: x\r\n\r\ndata: y\r\n\r\n", "data: x\r\rdata: y\r\r", "data: x\n\rdata: y\r\n\n", ":data\n\n", "id: 1\n\ndata: 1\n\n",
	"\ufeffdata: x\n\n", "\ufeff\ufeffdata: x\n\n", "\n\ufeffdata: x\n\n", "\xef\xbbdata: x\n\n", "data: x\ndata: y\n\n\n\ndata\r\n\r\n",
	"event: a\ndata: x\n\nevent: b\n\n", "data: x\n:\n\n", "dataa\n\n", "data\x00\n\n", "da\nta\n\n", "\r\n\r\ndata:\r\n\r\n", "data: x",
}

func TestEventsEndWhereTheStandardSays(t *testing.T) {
	for _, s := range streams {
		for piece := 1; piece <= len(s)+1; piece++ {
			checkEnds(t, s, piece)
		}
	}
}

func FuzzEventScanner(f *testing.F) {
	for _, s := range streams {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, s string, piece int) { checkEnds(t, s, piece) })
}

// What passes is a prefix, whatever the pieces in which it comes, and ends with the last event.
func TestCutEventsPassesAPrefix(t *testing.T) {
	const stream = ": hello\n\ndata: 1\n\nid: 7\n\ndata: 2\ndata: 2\n\ndata: 3\n\n"
	for n, want := range []string{"", ": hello\n\ndata: 1\n\n", ": hello\n\ndata: 1\n\nid: 7\n\ndata: 2\ndata: 2\n\n", stream, stream} {
		for name, reader := range map[string]io.Reader{
			"at once": strings.NewReader(stream), "byte by byte": iotest.OneByteReader(strings.NewReader(stream)),
			"end with the data": iotest.DataErrReader(strings.NewReader(stream)),
		} {
			x := new(proxy.Exchange)
			x.Response = proxy.Response{Status: 200, ContentLength: int64(len(stream))}
			x.Response.Header.Add([]byte("content-type"), []byte("Text/Event-Stream ;charset=utf-8"))
			b := Respond([]Step{CutEvents{Events: shape.Const(float64(n))}.New(Site{})}, x, readerBody{reader})
			if got, err := io.ReadAll(b); string(got) != want || err != nil {
				t.Errorf("%d events, %s: %q %v, want %q", n, name, got, err, want)
			}
			if x.Response.ContentLength != -1 {
				t.Error("the declared length stays")
			}
		}
	}
}

func TestOnlyReadableEventStreamsAreCut(t *testing.T) {
	for name, field := range map[string][2]string{
		"no type": {"X", "y"}, "another": {"Content-Type", "text/event-streams"}, "coded": {"Content-Encoding", "gzip"},
	} {
		x := new(proxy.Exchange)
		x.Response = proxy.Response{Status: 200, ContentLength: -1}
		x.Response.Header.Add([]byte(field[0]), []byte(field[1]))
		if name == "coded" {
			x.Response.Header.Add([]byte("Content-Type"), []byte("text/event-stream"))
		}
		b := readerBody{strings.NewReader("data\n\n")}
		if got := Respond([]Step{CutEvents{}.New(Site{})}, x, b); got != proxy.Body(b) {
			t.Error(name, "is cut")
		}
	}
}

type readerBody struct{ io.Reader }

func (readerBody) Trailer() *proxy.Header { return nil }
