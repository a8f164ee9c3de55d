package http1

import (
	"strings"
	"testing"
)

// TestSlowHeadIsCheap: a head that arrives byte by byte is not parsed again for each byte, and yet what is wrong is found with the end of
// its line.
func TestSlowHeadIsCheap(t *testing.T) {
	lim := Limits{}.withDefaults()
	for _, c := range []struct {
		name, head string
		parsed     int // how often the bytes of the head may be looked at
	}{
		{"one long value", get("A: " + strings.Repeat("a", 60000)), 8},
		{"empty lines before", "\r\n\r\n" + get("A: "+strings.Repeat("a", 60000)), 8},
		{"many lines", get(strings.Split(strings.Repeat("A: "+strings.Repeat("a", 600)+",", 97)+"A: b", ",")...), 60},
		{"a line that goes wrong", get("A: b\x00"), 4},
		{"bare LF only", strings.ReplaceAll(get("A: b"), "\r", ""), 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, _, want := parseHead(c.head, &lim)
			tried, looked, p := 0, 0, []byte(c.head)
			for n := 1; n <= len(c.head); n++ {
				if !worthParsing(p[:n], &tried) {
					continue
				}
				looked += n
				_, _, more, err := parseHead(c.head[:n], &lim)
				if !more {
					if err != want {
						t.Fatalf("after %d bytes: %v, want %v", n, err, want)
					}
					if looked > c.parsed*len(c.head) {
						t.Errorf("%d bytes looked at for a head of %d", looked, len(c.head))
					}
					return
				}
			}
			t.Error("never parsed to its end")
		})
	}
}
