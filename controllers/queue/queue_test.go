package queue_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/breakwater-gateway/breakwater/controllers/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink records what is written.
type sink struct {
	mu      sync.Mutex
	written []string // guarded by mu
	failed  []string // guarded by mu
	fail    int      // writes that fail first; guarded by mu
	hold    chan struct{}
}

func (s *sink) write(_ context.Context, key, v string) error {
	if s.hold != nil {
		<-s.hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail > 0 {
		s.fail--
		return errors.New("refused")
	}
	s.written = append(s.written, key+"="+v)
	return nil
}

func (s *sink) queue() *queue.Queue[string, string] {
	return queue.New(queue.Config[string, string]{
		Equal: func(a, b string) bool { return a == b },
		Write: s.write,
		Failed: func(key string, _ error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.failed = append(s.failed, key)
		},
		Workers: 2,
	})
}

func (s *sink) want(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.written) != len(want) {
		t.Fatalf("written %q, want %q", s.written, want)
	}
	for i := range want {
		if s.written[i] != want[i] {
			t.Fatalf("written %q, want %q", s.written, want)
		}
	}
}

// running runs q for the time of f.
func running(q *queue.Queue[string, string], f func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { q.Run(ctx) })
	synctest.Wait()
	f()
	cancel()
	wg.Wait()
}

func TestTheLatestValueIsWrittenWhenTheQueueStartsToRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		q := s.queue()
		q.Set("a", "1")
		q.Set("a", "2")
		s.want(t)
		running(q, func() { s.want(t, "a=2") })
	})
}

func TestAnEqualValueIsNotWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		q := s.queue()
		running(q, func() {
			q.Set("a", "1")
			synctest.Wait()
			q.Set("a", "1")
			synctest.Wait()
			s.want(t, "a=1")
			q.Set("a", "2")
			synctest.Wait()
			s.want(t, "a=1", "a=2")
		})
	})
}

func TestCheckWritesAgainOnlyWhatIsDesired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		q := s.queue()
		q.Set("a", "1")
		running(q, func() {
			q.Check("a")
			q.Check("b")
			synctest.Wait()
			s.want(t, "a=1", "a=1")
			q.Forget("a")
			q.Check("a")
			synctest.Wait()
			s.want(t, "a=1", "a=1")
		})
	})
}

func TestForgetIfLeavesWhatIsDesiredSince(t *testing.T) {
	q := (&sink{}).queue()
	q.Set("a", "2")
	if q.ForgetIf("a", "1") || len(q.Keys()) != 1 {
		t.Error("a newer value was forgotten")
	}
	if v, ok := q.Desired("a"); !ok || v != "2" {
		t.Errorf("%q, %v is desired, want 2", v, ok)
	}
	if !q.ForgetIf("a", "2") || len(q.Keys()) != 0 {
		t.Error("the value was not forgotten")
	}
}

func TestAWorkerThatIsBusyGetsTheLastOfManyValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{hold: make(chan struct{})}
		q := s.queue()
		running(q, func() {
			for _, v := range []string{"1", "2", "3", "4"} {
				q.Set("a", v)
				synctest.Wait()
			}
			s.hold <- struct{}{}
			s.hold <- struct{}{}
			synctest.Wait()
			s.want(t, "a=1", "a=4")
		})
	})
}

func TestAFailedWriteIsRetriedWithAGrowingDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{fail: 3}
		q := s.queue()
		running(q, func() {
			started := time.Now()
			q.Set("a", "1")
			synctest.Wait()
			for len(q.Keys()) == 1 {
				time.Sleep(time.Millisecond)
				s.mu.Lock()
				done := len(s.written) == 1
				s.mu.Unlock()
				if done {
					break
				}
			}
			if took := time.Since(started); took < 350*time.Millisecond || took > 400*time.Millisecond {
				t.Errorf("written after %s, want the sum of 50, 100 and 200 ms", took)
			}
			if len(s.failed) != 3 {
				t.Errorf("told of %d failures, want 3", len(s.failed))
			}
		})
	})
}

func TestASecondRunWritesEverythingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		q := s.queue()
		q.Set("a", "1")
		running(q, func() {})
		s.want(t, "a=1")
		running(q, func() {})
		s.want(t, "a=1", "a=1")
	})
}
