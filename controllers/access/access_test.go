package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// apiServer answers reviews: tokens in accepted are valid, and their bearers may do everything but the verb "delete". It never
// answers about those in silent.
type apiServer struct {
	mu               sync.Mutex
	accepted, silent string
	asked            map[string]int // how often about each token
}

func (s *apiServer) RoundTrip(r *http.Request) (*http.Response, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	body := string(data)
	answer := fmt.Sprintf(`{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1","status":{"allowed":%v}}`,
		!strings.Contains(body, `"verb":"delete"`))
	if strings.HasSuffix(r.URL.Path, "/tokenreviews") {
		_, token, _ := strings.Cut(body, `"token":"`)
		token, _, _ = strings.Cut(token, `"`)
		s.mu.Lock()
		s.asked[token]++
		valid, silent := token == s.accepted, s.silent != "" && strings.HasPrefix(token, s.silent)
		s.mu.Unlock()
		if silent {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		answer = fmt.Sprintf(`{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"authenticated":%v,"user":{"username":"tester"}}}`, valid)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(answer)),
	}, nil
}

func (s *apiServer) set(accepted, silent string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted, s.silent = accepted, silent
}

func (s *apiServer) count(token string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[token]
}

func reviewer(t *testing.T) (*Reviewer, *apiServer) {
	t.Helper()
	s := &apiServer{accepted: "good", asked: map[string]int{}}
	c, err := kubernetes.NewForConfig(&rest.Config{
		Host: "http://api.example", Transport: s, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return NewReviewer(c, authorizationv1.ResourceAttributes{Group: "example.com", Resource: "things"}), s
}

// want reviews a token and wants an outcome.
func want(t *testing.T, r *Reviewer, token, verb string, err error) {
	t.Helper()
	user, got := r.Review(t.Context(), token, verb)
	if !errors.Is(got, err) || err == nil && (got != nil || user != "tester") {
		t.Errorf("%s, %s: %q, %v, want %v", token, verb, user, got, err)
	}
}

func TestAnswersAreBelievedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, api := reviewer(t)
		for range 3 {
			want(t, r, "good", "get", nil)
			want(t, r, "good", "delete", ErrForbidden)
			want(t, r, "bad", "get", ErrUnknown)
		}
		if api.count("good") != 2 || api.count("bad") != 1 {
			t.Errorf("the API server was asked %v", api.asked)
		}
		api.set("bad", "")
		want(t, r, "good", "get", nil)
		time.Sleep(remembered)
		want(t, r, "good", "get", ErrUnknown) // revoked
		want(t, r, "good", "delete", ErrUnknown)
		want(t, r, "bad", "get", nil)
	})
}

// A flood of tokens that are worth nothing must not lock out who has been accepted before.
func TestBearersGoOnDuringAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, api := reviewer(t)
		api.set("good", "rubbish")
		want(t, r, "good", "get", nil)
		ctx, cancel := context.WithCancel(t.Context())
		var flood sync.WaitGroup
		for i := range 200 {
			flood.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					_, _ = r.Review(ctx, fmt.Sprintf("rubbish-%d-%d", i, n), "update")
				}
			})
		}
		synctest.Wait()
		for range 5 {
			want(t, r, "good", "get", nil)
			want(t, r, "good", "update", nil)
			time.Sleep(remembered)
		}
		cancel()
		flood.Wait()
	})
}

// Answers about tokens that are worth nothing do not take the place of others.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, api := reviewer(t)
		want(t, r, "good", "get", nil)
		for i := range maxRemembered + 1 {
			want(t, r, fmt.Sprint("rubbish", i), "get", ErrUnknown)
		}
		want(t, r, "good", "get", nil)
		if n := api.count("good"); n != 1 {
			t.Errorf("the API server was asked %d times about a token that it has accepted", n)
		}
		if n := len(r.refused); n > maxRemembered {
			t.Errorf("%d refusals are remembered", n)
		}
		for i := range maxRemembered {
			time.Sleep(time.Millisecond)
			token := fmt.Sprint("good", i)
			api.set(token, "")
			want(t, r, token, "get", nil)
		}
		if n := len(r.bearers); n != maxRemembered {
			t.Errorf("%d bearers are remembered", n)
		}
		want(t, r, "good1", "get", nil)
		want(t, r, "good", "get", ErrUnknown) // the oldest was forgotten, and is not accepted any more
	})
}

// Who has not been accepted for long, or not any more, takes no place among those who have.
func TestBearersAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, api := reviewer(t)
		isBearer := func(token string) bool {
			_, _, slots := r.recall(question{sha256.Sum256([]byte(token)), "get"})
			return slots == r.renewals
		}
		want(t, r, "good", "get", nil)
		time.Sleep(acquainted - time.Second)
		if !isBearer("good") {
			t.Error("forgotten before its time")
		}
		time.Sleep(time.Second)
		if isBearer("good") {
			t.Error("a token that has not been used for long is still preferred")
		}
		want(t, r, "good", "get", nil)
		api.set("other", "")
		time.Sleep(remembered)
		want(t, r, "good", "get", ErrUnknown)
		if isBearer("good") {
			t.Error("a token that has been revoked is still preferred")
		}
	})
}
