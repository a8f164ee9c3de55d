package whoami_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/cmd/whoami/whoami"
)

// filled is the expected body of n bytes.
func filled(n int) string {
	if n < 2 {
		return ""
	}
	return "|" + strings.Repeat("ABCDEFGHIJKLMNOPQRSTUVWXYZ-", n/27+1)[:n-2] + "|"
}

func TestDataSizes(t *testing.T) {
	client, address := newClient(t, nil), startPlain(t, fixed)
	tests := []struct {
		query string
		size  int
	}{
		{"", 0}, {"size=0", 0}, {"size=1", 0}, {"size=-5", 0}, {"size=many", 0}, {"size=99999999999999999999", 0},
		{"size=2", 2}, {"size=3", 3}, {"size=30", 30}, {"size=30&unit=apples", 30}, {"size=54", 54},
		{"size=1&unit=kb", 1024}, {"size=2&unit=KB", 2048}, {"size=3&unit=mB", 3 << 20}, {"size=x&unit=kb", 1024},
		{"size=100&attachment=maybe", 100},
	}
	for _, test := range tests {
		got := do(t, client, "GET", "http://"+address+"/data?"+test.query, "")
		if got.body != filled(test.size) {
			t.Errorf("%q: %d bytes, want %d, or altered", test.query, len(got.body), test.size)
		}
	}
}

func TestDataAttachment(t *testing.T) {
	client, url := newClient(t, nil), "http://"+startPlain(t, fixed)+"/data?size=100&attachment=true"
	whole := do(t, client, "GET", url, "")
	if whole.status != 200 || whole.body != filled(100) || whole.header.Get("Content-Disposition") != "Attachment" ||
		whole.header.Get("Content-Length") != "100" || whole.header.Get("Accept-Ranges") != "bytes" {
		t.Errorf("whole: %+v", whole)
	}
	for _, test := range []struct{ span, body, content string }{
		{"0-0", "|", "0-0"}, {"10-19", filled(100)[10:20], "10-19"}, {"-3", filled(100)[97:], "97-99"}, {"95-", filled(100)[95:], "95-99"},
	} {
		got := do(t, client, "GET", url, "", "Range: bytes="+test.span)
		if got.status != 206 || got.body != test.body || got.header.Get("Content-Range") != "bytes "+test.content+"/100" {
			t.Errorf("%s: %+v", test.span, got)
		}
	}
	if got := do(t, client, "GET", url, "", "Range: bytes=100-"); got.status != 416 {
		t.Errorf("beyond the end: %d", got.status)
	}
}

// Whatever the range, the bytes are those of the whole body, and no input panics.
func FuzzDataRange(f *testing.F) {
	f.Add("100", "", "bytes=0-0")
	f.Add("9223372036854775807", "tb", "bytes=9223372036854775806-")
	f.Add("-1", "kb", "bytes=-5")
	handler := whoami.New(fixed)
	f.Fuzz(func(t *testing.T, size, unit, span string) {
		r := httptest.NewRequest("GET", "/data?attachment=true", nil)
		query := r.URL.Query()
		query.Set("size", size)
		query.Set("unit", unit)
		r.URL.RawQuery = query.Encode()
		r.Header.Set("Range", span)
		w := limited{httptest.NewRecorder()}
		handler.ServeHTTP(w, r)
		var first, last, total int64
		if _, err := fmt.Sscanf(w.Header().Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &total); err != nil {
			return
		}
		for i, b := range w.Body.Bytes() {
			want := "-ABCDEFGHIJKLMNOPQRSTUVWXYZ"[(first+int64(i))%27]
			if at := first + int64(i); at == 0 || at == total-1 {
				want = '|'
			}
			if b != want {
				t.Fatalf("byte %d is %q, want %q", first+int64(i), b, want)
			}
		}
	})
}

// limited fails writes beyond 64 KiB, as a client that goes away.
type limited struct{ *httptest.ResponseRecorder }

func (w limited) Write(p []byte) (int, error) {
	if w.Body.Len() > 64<<10 {
		return 0, fmt.Errorf("gone")
	}
	return w.ResponseRecorder.Write(p)
}
