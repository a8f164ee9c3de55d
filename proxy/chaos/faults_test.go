package chaos

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/fault"
)

type readerBody struct{ io.Reader }

func (readerBody) Trailer() *proxy.Header { return nil }

// A response that has not been cut by the time at which the experiment ends is not cut any more, and loses nothing: also if somebody
// waits for its next byte at that time.
func TestCutsEndWithTheExperiment(t *testing.T) {
	const first = "data: 1\n\n"
	rest := strings.Repeat("data: more\n\n", 10)
	for name, f := range map[string]proxy.Toxic{
		"truncated later":         fault.TruncateBody{Bytes: 20},
		"truncated where it is":   fault.TruncateBody{Bytes: int64(len(first))},
		"cut after another event": fault.CutEvents{Events: 2, End: fault.FIN},
		"ended after ten events":  fault.CutEvents{Events: 10},
		"broken later":            fault.BrokenChunk{Bytes: 20},
		"broken at the end":       fault.BrokenChunk{Bytes: 1 << 20},
	} {
		for how, end := range map[string]func(e *Engine){
			"deadline": func(*Engine) { time.Sleep(2 * time.Hour) },
			"switch":   func(e *Engine) { e.SetEnabled(false) },
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e := newEngine(t, Config{}, anExperiment("x", f))
					defer e.Close()
					x := request()
					q := e.Begin(x, backendID)
					defer func() { q.End(x, time.Now()) }()
					x.Response.Status, x.Response.ContentLength = 200, -1
					x.Response.Header.Add([]byte("Content-Type"), []byte("text/event-stream"))
					r, w := io.Pipe()
					body := q.Client(x, nil).Respond(x, readerBody{r})
					var got []byte
					var err error
					done := make(chan struct{})
					go func() {
						got, err = io.ReadAll(body)
						_ = r.Close()
						close(done)
					}()
					_, _ = io.WriteString(w, first)
					synctest.Wait()
					end(e)
					_, _ = io.WriteString(w, rest)
					_ = w.Close()
					<-done
					if err != nil || string(got) != first+rest {
						t.Errorf("%d of %d bytes, %v", len(got), len(first+rest), err)
					}
				})
			})
		}
	}
}
