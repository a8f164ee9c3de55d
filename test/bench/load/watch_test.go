package load

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/breakwater-gateway/breakwater/test/bench/stream"
)

func TestWatchSeesEveryAnswerInOrder(t *testing.T) {
	const enough = 200
	stop, err := stream.StartStamps()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var given, failed atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := given.Add(1)
		if n >= enough {
			cancel()
		}
		if n%10 == 0 {
			w.Header().Set("Connection", "close")
		}
		if r.Host != "h" || r.URL.Path != "/p" || n%3 == 0 {
			failed.Add(1)
			w.WriteHeader(http.StatusNetworkAuthenticationRequired)
		}
	}))
	defer server.Close()
	answers, err := Watch(ctx, 4, strings.TrimPrefix(server.URL, "http://"), "h", "/p")
	if err != nil {
		t.Fatal(err)
	}
	bad := int64(0)
	for i, a := range answers {
		if a.Status != http.StatusOK {
			bad++
		}
		if i > 0 && a.At.Before(answers[i-1].At) || a.At.IsZero() {
			t.Errorf("answer %d at %v, after one at %v", i, a.At, answers[max(i-1, 0)].At)
		}
	}
	if int64(len(answers)) != given.Load() || bad != failed.Load() || bad == 0 {
		t.Errorf("%d answers, %d of them bad; %d and %d were given", len(answers), bad, given.Load(), failed.Load())
	}
}
