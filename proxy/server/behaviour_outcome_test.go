package server

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/http1"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
)

var attemptEnded = regexp.MustCompile(`breakwater_backend_attempts_total\{[^}]*outcome="([a-z_]+)"\} 1`)

// How an attempt has ended is charged to the side that ended it.
func TestOutcomeOfAnAttemptThatBreaksOff(t *testing.T) {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
	hello := func(c *wire) { c.take(len("5\r\nhello\r\n")) }
	spliced := "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + strings.Repeat("x", 200_000)
	leave := func(c *wire) { c.Close() }
	reset := func(c *wire) { _ = c.SetLinger(0); c.Close() }
	stay := func(c *wire) { _, _ = c.rest() }
	short := http1.Timeouts{UpstreamBody: time.Millisecond, Tunnel: time.Millisecond}
	for name, tc := range map[string]struct {
		request, answer  string
		timeouts         http1.Timeouts
		client, endpoint func(*wire) // what each does once the answer has begun
		want             telemetry.Outcome
	}{
		"client leaves, spliced":     {get("/"), spliced, http1.Timeouts{}, func(c *wire) { c.take(200_000); c.Close() }, stay, telemetry.Canceled},
		"client leaves, copied":      {get("/"), chunked, http1.Timeouts{}, func(c *wire) { hello(c); c.Close() }, stay, telemetry.Canceled},
		"client resets, tunnel":      {upgradeRequest, switching, http1.Timeouts{}, reset, stay, telemetry.Canceled},
		"both leave, tunnel":         {upgradeRequest, switching, http1.Timeouts{}, leave, stay, telemetry.OK},
		"endpoint resets, spliced":   {get("/"), spliced, http1.Timeouts{}, stay, reset, telemetry.Reset},
		"endpoint resets, copied":    {get("/"), chunked, http1.Timeouts{}, stay, reset, telemetry.Reset},
		"endpoint resets, tunnel":    {upgradeRequest, switching, http1.Timeouts{}, stay, reset, telemetry.Reset},
		"endpoint stalls, spliced":   {get("/"), spliced, short, stay, stay, telemetry.Timeout},
		"endpoint stalls, copied":    {get("/"), chunked, short, stay, stay, telemetry.Timeout},
		"nobody says more in tunnel": {upgradeRequest, switching, short, stay, stay, telemetry.Timeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := make(chan struct{})
			e := endpoint(t, func(_ int, c *wire) {
				c.head()
				c.send("%s", tc.answer)
				<-begun
				tc.endpoint(c)
			})
			m := telemetry.New()
			c := dialWire(t, proxyTo(t, Config{Metrics: m, Timeouts: tc.timeouts}, e.addr))
			c.send("%s", tc.request)
			if c.head() == "" {
				t.Error("no answer")
			}
			close(begun)
			tc.client(c)
			var ended []string
			until(t, "the attempt has ended", func() bool {
				ended = attemptEnded.FindStringSubmatch(scrape(t, m))
				return ended != nil
			})
			if ended[1] != tc.want.String() {
				t.Errorf("outcome %s, want %s", ended[1], tc.want)
			}
		})
	}
}
