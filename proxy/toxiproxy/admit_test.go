package toxiproxy

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// Who is refused is told why, and what helps.
func TestRefusalsSayWhatIsRefused(t *testing.T) {
	s := serve(t, Config{Hosts: []string{"127.0.0.1"}})
	for _, c := range []struct {
		host, header, value string
		status              int
		body                string
	}{
		{"localhost:8474", "User-Agent", "Mozilla/5.0", 403, "User agent not allowed\n"}, // in Toxiproxy's words
		{"localhost:8474", "Origin", "http://localhost:3000", 403,
			`{"error":"pages may not use this API: header Origin","status":403}` + "\n"},
		{"localhost:8474", "Sec-Fetch-Site", "same-origin", 403,
			`{"error":"pages may not use this API: header Sec-Fetch-Site","status":403}` + "\n"},
		{"host.docker.internal:8474", "", "", 421,
			`{"error":"host host.docker.internal: call this API by address, as localhost, by a name without a dot or by one in --admin-hosts","status":421}` + "\n"},
		{"toxiproxy.ci.svc", "", "", 421, `{"error":"host toxiproxy.ci.svc: `},
		{strings.Repeat("a.", 1000), "", "", 421, `{"error":"host ` + strings.Repeat("a.", longestLogged/2) + `...: `},
	} {
		r, w := httptest.NewRequest("GET", "/proxies", nil), httptest.NewRecorder()
		r.Host = c.host
		if c.header != "" {
			r.Header.Set(c.header, c.value)
		}
		if s.ServeHTTP(w, r); w.Code != c.status || !strings.HasPrefix(w.Body.String(), c.body) {
			t.Errorf("%s %s: %d %s\nwant %d %s", c.host, c.header, w.Code, w.Body, c.status, c.body)
		}
	}
}
