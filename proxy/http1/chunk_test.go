package http1

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// chunkCase is a chunked message with what may follow it, and what decoding it comes to.
type chunkCase struct {
	name, in string
	content  string
	trailer  string
	rest     string // what follows the message
	err      error
}

// runChunks decodes each case in one piece, byte by byte and split in two at every position, and compares with the reference.
func runChunks(t *testing.T, lim Limits, cases []chunkCase) {
	t.Helper()
	lim = lim.withDefaults()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			want := decoded{verdict: complete, content: c.content, trailer: c.trailer, used: len(c.in) - len(c.rest)}
			if c.err != nil {
				want = decoded{verdict: invalid}
			}
			check := func(how string, room int, parts ...string) {
				got, err := decodeParts(&lim, room, parts...)
				if c.err != nil {
					got.content = ""
				}
				if got != want || err != c.err {
					t.Fatalf("%.200q %s: got %+v, %v, want %+v, %v", c.in, how, got, err, want, c.err)
				}
			}
			check("in one piece", 1<<20, c.in)
			check("in one piece, taken bytewise", 1, c.in)
			check("byte by byte", 1<<20, strings.Split(c.in, "")...)
			if n := len(c.in); n < 1000 {
				for at := range n {
					check(fmt.Sprint("split at ", at), 3, c.in[:at], c.in[at:])
				}
			}
			ref := decodeReference(c.in, &lim)
			if c.err != nil {
				ref.content, ref.trailer = "", ""
				if ref.verdict == wantsMore { // the decoder need not wait for the end of a line that has gone wrong
					ref.verdict = invalid
				}
			}
			if ref != want {
				t.Fatalf("%.200q: the reference says %+v, want %+v", c.in, ref, want)
			}
		})
	}
}

func TestRFC9112Section7ChunkSize(t *testing.T) {
	const end = "0\r\n\r\n"
	runChunks(t, Limits{}, []chunkCase{
		{"empty message", end, "", "", "", nil},
		{"one chunk", "5\r\nhello\r\n" + end, "hello", "", "", nil},
		{"several chunks", "1\r\na\r\n2\r\nbc\r\n" + end, "abc", "", "", nil},
		{"line ends in content", "4\r\n\r\n\r\n\r\n" + end, "\r\n\r\n", "", "", nil},
		{"the end in content", "5\r\n0\r\n\r\n\r\n" + end, "0\r\n\r\n", "", "", nil},
		{"hexadecimal in both cases", "a\r\n0123456789\r\nB\r\n01234567890\r\n" + end, "012345678901234567890", "", "", nil},
		{"leading zeros", "0005\r\nhello\r\n" + end, "hello", "", "", nil},
		{"zeros at the end", "000\r\n\r\n", "", "", "", nil},
		{"another message behind", end + "0\r\n\r\nGET", "", "", "0\r\n\r\nGET", nil},
		{"line end behind", end + "\r\n", "", "", "\r\n", nil},
		{"fifteen digits", "000000000000001\r\na\r\n" + end, "a", "", "", nil},

		{"sixteen digits", "0000000000000001\r\na\r\n" + end, "", "", "", errChunk},
		{"2^64", "10000000000000000\r\na\r\n" + end, "", "", "", errChunk},
		{"2^64 + 1 by another name", "ffffffffffffffff\r\na\r\n" + end, "", "", "", errChunk},
		{"no size", "\r\nhello\r\n" + end, "", "", "", errChunk},
		{"minus", "-5\r\nhello\r\n" + end, "", "", "", errChunk},
		{"plus", "+5\r\nhello\r\n" + end, "", "", "", errChunk},
		{"0x", "0x5\r\nhello\r\n" + end, "", "", "", errChunk},
		{"underscore", "0_5\r\nhello\r\n" + end, "", "", "", errChunk},
		{"not a digit", "g\r\n" + end, "", "", "", errChunk},
		{"space before", " 5\r\nhello\r\n" + end, "", "", "", errChunk},
		{"space behind", "5 \r\nhello\r\n" + end, "", "", "", errChunk},
		{"tab behind", "5\t\r\nhello\r\n" + end, "", "", "", errChunk},
		{"NUL behind", "5\x00\r\nhello\r\n" + end, "", "", "", errChunk},
		{"vertical tab behind", "5\v\r\nhello\r\n" + end, "", "", "", errChunk},
		{"comma", "5,5\r\nhello\r\n" + end, "", "", "", errChunk},
		{"fraction", "5.0\r\nhello\r\n" + end, "", "", "", errChunk},
		{"quoted", "\"5\"\r\nhello\r\n" + end, "", "", "", errChunk},
		{"bare LF", "5\nhello\r\n" + end, "", "", "", errLineEnd},
		{"bare LF at the end", "5\r\nhello\r\n0\n\n", "", "", "", errLineEnd},
		{"bare LF ends the message", "0\r\n\n", "", "", "", errLineEnd},
		{"bare CR", "5\rhello\r\n" + end, "", "", "", errLineEnd},
		{"bare CR ends the message", "0\r\n\rG", "", "", "", errLineEnd},
		{"CR CR LF", "5\r\r\nhello\r\n" + end, "", "", "", errLineEnd},
		{"CR CR LF at the end", "0\r\n\r\r\n", "", "", "", errLineEnd},

		{"content too long", "5\r\nhello!\r\n" + end, "", "", "", errChunk},
		{"content too short", "5\r\nhell\r\n" + end, "", "", "", errChunk},
		{"no line end behind content", "5\r\nhello" + end, "", "", "", errChunk},
		{"bare LF behind content", "5\r\nhello\n" + end, "", "", "", errChunk},
		{"bare CR behind content", "5\r\nhello\r" + end, "", "", "", errChunk},
		{"two line ends behind content", "5\r\nhello\r\n\r\n" + end, "", "", "", errChunk},
		{"something for CRLF behind content", "5\r\nhelloXX" + end, "", "", "", errChunk},
	})
}

func TestRFC9112Section7ChunkExtensions(t *testing.T) {
	const end = "0\r\n\r\n"
	chunk := func(ext string) string { return "1" + ext + "\r\na\r\n" + end }
	long := ";" + strings.Repeat("a", maxChunkLine-2)
	runChunks(t, Limits{}, []chunkCase{
		{"name", chunk(";a"), "a", "", "", nil},
		{"name and value", chunk(";a=b"), "a", "", "", nil},
		{"several", chunk(`;a=b;c;d="e"`), "a", "", "", nil},
		{"on the last chunk", "0;a=b\r\n\r\n", "", "", "", nil},
		{"quoted value", chunk(`;a=" b;=,	` + "\x80" + `"`), "a", "", "", nil},
		{"empty quoted value", chunk(`;a=""`), "a", "", "", nil},
		{"quoted pairs", chunk(`;a="\"\\\ ` + "\\\t\\\xff" + `"`), "a", "", "", nil},
		{"as long as allowed", chunk(long), "a", "", "", nil},
		{"one byte longer", chunk(long + "a"), "", "", "", errChunk},
		{"much longer", chunk(strings.Repeat(long, 4)), "", "", "", errChunk},
		{"all as long as allowed", strings.Repeat("1;aaaaaaa\r\na\r\n", 2048) + end, strings.Repeat("a", 2048), "", "", nil},
		{"all longer", strings.Repeat("1;aaaaaaa\r\na\r\n", 2048) + "1;\r\n" + end, "", "", "", errChunkExtra},

		{"no name", chunk(";"), "", "", "", errChunk},
		{"no name but value", chunk(";=b"), "", "", "", errChunk},
		{"no name behind another", chunk(";a;"), "", "", "", errChunk},
		{"no value", chunk(";a="), "", "", "", errChunk},
		{"space before", chunk(" ;a"), "", "", "", errChunk},
		{"space behind semicolon", chunk("; a"), "", "", "", errChunk},
		{"space behind name", chunk(";a "), "", "", "", errChunk},
		{"space around equals", chunk(";a = b"), "", "", "", errChunk},
		{"tab before", chunk("\t;a"), "", "", "", errChunk},
		{"quote not closed", chunk(`;a="b`), "", "", "", errChunk},
		{"quote closed by a quoted pair", chunk(`;a="b\"`), "", "", "", errChunk},
		{"something behind quote", chunk(`;a="b"c`), "", "", "", errChunk},
		{"quoted name", chunk(`;"a"=b`), "", "", "", errChunk},
		{"NUL in value", chunk(";a=\x00"), "", "", "", errChunk},
		{"NUL in quoted value", chunk(";a=\"\x00\""), "", "", "", errChunk},
		{"NUL in quoted pair", chunk(";a=\"\\\x00\""), "", "", "", errChunk},
		{"control character in quoted pair", chunk(";a=\"\\\x1b\""), "", "", "", errChunk},
		{"bare LF in value", chunk(";a=b\nc"), "", "", "", errLineEnd},
		{"bare LF in quoted value", chunk(";a=\"b\nc\""), "", "", "", errLineEnd},
		{"bare LF ends the line", "1;a\na\r\n" + end, "", "", "", errLineEnd},
		{"bare CR in value", chunk(";a=b\rc"), "", "", "", errLineEnd},
		{"bare CR in quoted value", chunk(";a=\"b\rc\""), "", "", "", errLineEnd},
		{"bare CR in quoted pair", chunk(";a=\"b\\\rc\""), "", "", "", errLineEnd},
		{"line end in quoted value", chunk(";a=\"b\r\nc\""), "", "", "", errChunk},
		{"comma", chunk(",a"), "", "", "", errChunk},
	})
}

func TestRFC9110Section6Trailers(t *testing.T) {
	section := func(fields ...string) string { return "1\r\na\r\n0\r\n" + strings.Join(append(fields, "\r\n"), "\r\n") }
	runChunks(t, Limits{}, []chunkCase{
		{"one", section("A: b"), "a", "A=b ", "", nil},
		{"order, case and repetition stay", section("b: 1", "A:2 ", "B:\t3"), "a", "b=1 A=2 B=3 ", "", nil},
		{"empty value", section("A:"), "a", "A= ", "", nil},
		{"something behind", section("A: b") + "GET", "a", "A=b ", "GET", nil},
		{"hop-by-hop fields do not pass", section("Keep-Alive: b", "TE: gzip", "Proxy-Connection: x", "C: d"), "a", "C=d ", "", nil},

		{"space before colon", section("A : b"), "", "", "", errFieldName},
		{"no name", section(": b"), "", "", "", errFieldName},
		{"no colon", section("A"), "", "", "", errFieldName},
		{"a request", section("GET / HTTP/1.1"), "", "", "", errFieldName},
		{"obs-fold", section("A: b", " c"), "", "", "", errObsFold},
		{"obs-fold first", section(" A: b"), "", "", "", errObsFold},
		{"NUL", section("A: \x00"), "", "", "", errFieldValue},
		{"bare LF", section("A: b\nC: d"), "", "", "", errLineEnd},
		{"bare CR", section("A: b\rC: d"), "", "", "", errLineEnd},
		{"underscore", section("A_B: c"), "", "", "", errUnderscore},
		{"too many", section(slices.Repeat([]string{"A: b"}, 101)...), "", "", "", errTooManyFields},
		{"as many as allowed", section(slices.Repeat([]string{"A: b"}, 100)...), "a", strings.Repeat("A=b ", 100), "", nil},
		{"Content-Length that is invalid", section("Content-Length: x"), "", "", "", errLengthInvalid},
	})
	for _, name := range []string{
		"Content-Length", "TRANSFER-encoding", "Host", "connection", "Upgrade", "Expect", "Trailer", // framing, routing
		"Authorization", "Cookie", "Set-Cookie", "WWW-Authenticate", // authentication
		"Cache-Control", "Pragma", "Max-Forwards", "Range", "If-Match", "if-none-match", "If-Range", "If-Modified-Since", // controls
		"Content-Encoding", "content-type", "Content-Range", "Location", // meaning
		"Forwarded", "X-Forwarded-For", "x-forwarded-proto", "X-Forwarded-Anything", "X-Real-IP", "X-Request-Id", // our own
	} {
		runChunks(t, Limits{}, []chunkCase{{name, section("A: b", name+": 5"), "", "", "", errTrailer}})
	}
	runChunks(t, Limits{}, []chunkCase{{"TE: trailers", section("TE: gzip, trailers"), "", "", "", errTrailer}})
}

func TestLimitOfTrailers(t *testing.T) {
	section := func(n int) string { return "0\r\nA:" + strings.Repeat("b", n-len("A:\r\n\r\n")) + "\r\n\r\n" }
	runChunks(t, Limits{HeaderBytes: 400}, []chunkCase{
		{"at the limit", section(200), "", "A=" + strings.Repeat("b", 194) + " ", "", nil},
		{"one beyond", section(201), "", "", "", errHeadTooLarge},
		{"far beyond", section(700), "", "", "", errHeadTooLarge},
	})
}

// TestChunkRoundTrip frames content as it goes out and decodes it again.
func TestChunkRoundTrip(t *testing.T) {
	lim := Limits{}.withDefaults()
	for _, size := range []int{1, 15, 16, 255, 256, 4095, 4096, 65000} {
		buf := make([]byte, chunkRoom+size+len(crlf))
		content := strings.Repeat("x", size)
		copy(buf[chunkRoom:], content)
		trailer := proxy.Header{}
		trailer.Add([]byte("A"), []byte("b"))
		out := string(frameChunk(buf, size)) + string(appendLastChunk(nil, &trailer))
		want := decoded{verdict: complete, content: content, trailer: "A=b ", used: len(out)}
		if got, err := decodeParts(&lim, 1<<20, out); got != want {
			t.Errorf("%d bytes: %.40q becomes %.40v, %v", size, out, got, err)
		}
		if got := decodeReference(out, &lim); got != want {
			t.Errorf("%d bytes: the reference decodes %.40q to %.40v", size, out, got)
		}
	}
	if got := string(appendLastChunk(nil, nil)); got != string(lastChunk) {
		t.Errorf("the last chunk is %q", got)
	}
}
