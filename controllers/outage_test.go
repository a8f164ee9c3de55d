package controllers

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

var (
	errRefused   = &url.Error{Op: "Get", URL: "https://192.0.2.1", Err: syscall.ECONNREFUSED}
	errForbidden = apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "", errors.New("the role is not known yet"))
)

// restarting is an API server with one ConfigMap that goes away and comes back. As a real one it sends watches on only from versions of
// its own life.
type restarting struct {
	mu       sync.Mutex
	failure  error // nil: it works
	attempts int   // that have failed
	version  int   // of the ConfigMap
	first    int   // version of its life
	watches  []*watch.RaceFreeFakeWatcher
}

func (s *restarting) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.watches {
		w.Stop()
	}
	s.failure, s.watches = err, nil
}

// work has it work again. The ConfigMap has changed, which gets its version.
func (s *restarting) work() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = nil
	s.version++
	s.first = s.version
	return strconv.Itoa(s.version)
}

func (s *restarting) object() *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "switch", ResourceVersion: strconv.Itoa(s.version)}}
}

func (s *restarting) list(context.Context, metav1.ListOptions) (runtime.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		s.attempts++
		return nil, s.failure
	}
	return &corev1.ConfigMapList{
		ListMeta: metav1.ListMeta{ResourceVersion: strconv.Itoa(s.version)}, Items: []corev1.ConfigMap{*s.object()},
	}, nil
}

func (s *restarting) watch(_ context.Context, o metav1.ListOptions) (watch.Interface, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		s.attempts++
		return nil, s.failure
	}
	w := watch.NewRaceFreeFake()
	if o.SendInitialEvents != nil {
		end := s.object()
		end.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: "true"}
		w.Add(s.object())
		w.Action(watch.Bookmark, end)
	} else if from, _ := strconv.Atoi(o.ResourceVersion); from < s.first {
		w.Error(&apierrors.NewResourceExpired("too old").ErrStatus)
	}
	s.watches = append(s.watches, w)
	return w, nil
}

// ask asks once, as an informer does.
func (s *restarting) ask(t *testing.T) error {
	o := &outage{log: slog.New(slog.DiscardHandler)}
	lw := o.bridge(&cache.ListWatch{ListWithContextFunc: s.list, WatchFuncWithContext: s.watch})
	_, err := cache.ToListerWithContext(lw).ListWithContext(t.Context(), metav1.ListOptions{})
	return err
}

// informed starts an informer as the cache has them, and returns what becomes of the ConfigMap's version.
func informed(t *testing.T, s *restarting) (versions <-chan string, log *bytes.Buffer) {
	log = &bytes.Buffer{}
	options := cacheOptions(&outage{log: slog.New(slog.NewTextHandler(log, nil))})
	lw := &cache.ListWatch{ListWithContextFunc: s.list, WatchFuncWithContext: s.watch}
	informer := options.NewInformer(lw, &corev1.ConfigMap{}, 0, cache.Indexers{})
	seen := make(chan string, 100)
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { seen <- o.(*corev1.ConfigMap).ResourceVersion },
		UpdateFunc: func(_, o any) { seen <- o.(*corev1.ConfigMap).ResourceVersion },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); informer.RunWithContext(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return seen, log
}

// However long the API server was away and in whatever way it comes back, what has changed is known within an attempt, and there is no
// more than one attempt in half a second.
func TestChangesAreKnownAtOnceAfterAnOutage(t *testing.T) {
	tooMany := apierrors.NewTooManyRequests("starting", 2)
	for name, c := range map[string]struct {
		away    error
		length  time.Duration
		coming  error // for half a minute, before it works
		longest time.Duration
	}{
		"a moment":                         {errRefused, 5 * time.Second, nil, attemptEvery * 3 / 2},
		"a minute":                         {errRefused, time.Minute, nil, attemptEvery * 3 / 2},
		"a night":                          {errRefused, 8 * time.Hour, nil, attemptEvery * 3 / 2},
		"it refuses until it knows roles":  {errRefused, time.Minute, errForbidden, attemptEvery * 3 / 2},
		"it is too busy at first":          {errRefused, time.Minute, tooMany, 2 * time.Second},
		"its store is away":                {apierrors.NewInternalError(errors.New("no leader")), time.Minute, nil, attemptEvery * 3},
		"nothing can be reached behind it": {apierrors.NewServiceUnavailable("no endpoints"), time.Minute, nil, attemptEvery * 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &restarting{version: 1}
				versions, _ := informed(t, s)
				if v := <-versions; v != "1" {
					t.Fatalf("version %s", v)
				}
				time.Sleep(10 * time.Minute)
				for range 3 {
					s.attempts = 0
					began := time.Now()
					s.fail(c.away)
					time.Sleep(c.length)
					if c.coming != nil {
						s.fail(c.coming)
						time.Sleep(settling / 2)
					}
					s.mu.Lock()
					if most := int(time.Since(began)/(attemptEvery/2)) + 2; s.attempts > most {
						t.Errorf("%d attempts in %s", s.attempts, time.Since(began))
					}
					s.mu.Unlock()
					changed, back := s.work(), time.Now()
					for v := range versions {
						if v == changed {
							break
						}
					}
					if took := time.Since(back); took > c.longest {
						t.Errorf("known after %s", took)
					}
					time.Sleep(10 * time.Minute)
				}
			})
		})
	}
}

// An outage is told of once, and its end.
func TestAnOutageIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &restarting{version: 1}
		versions, log := informed(t, s)
		<-versions
		s.fail(errRefused)
		time.Sleep(time.Minute)
		s.work()
		<-versions
		synctest.Wait()
		for _, line := range []string{"the API server does not answer", "the API server answers again"} {
			if strings.Count(log.String(), line) != 1 {
				t.Errorf("want %q once:\n%s", line, log)
			}
		}
	})
}

// What is no outage is handed to the informer at once, which has a pace of its own for it.
func TestOtherErrorsAreNoOutage(t *testing.T) {
	for name, err := range map[string]error{
		"too old a version":     apierrors.NewResourceExpired("too old"),
		"too new a version":     apierrors.NewTimeoutError("too large resource version", 1),
		"no right":              errForbidden,
		"an unknown authority":  &url.Error{Op: "Get", URL: "https://192.0.2.1", Err: &tls.CertificateVerificationError{Err: errors.New("unknown authority")}},
		"an answer of nonsense": errors.New("cannot decode"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &restarting{failure: err}
				began := time.Now()
				if got := s.ask(t); !errors.Is(got, err) || s.attempts != 1 || time.Since(began) > 0 {
					t.Errorf("%v after %d attempts and %s", got, s.attempts, time.Since(began))
				}
			})
		})
	}
}

// An API server that says when to come again is obeyed.
func TestRetryAfterIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &restarting{failure: apierrors.NewTooManyRequests("starting", 20)}
		time.AfterFunc(50*time.Second, func() { s.work() })
		began := time.Now()
		if err := s.ask(t); err != nil || s.attempts != 3 || time.Since(began) != time.Minute {
			t.Errorf("%v after %d attempts that failed and %s", err, s.attempts, time.Since(began))
		}
	})
}

// A right that is lost in an outage is not waited for without end.
func TestARefusalAfterAnOutageIsBelievedInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &restarting{failure: errRefused}
		time.AfterFunc(time.Hour, func() { s.fail(errForbidden) })
		began := time.Now()
		err := s.ask(t)
		if took := time.Since(began); !apierrors.IsForbidden(err) || took < time.Hour+settling-2*attemptEvery || took > time.Hour+settling+2*attemptEvery {
			t.Errorf("%v after %s", err, took)
		}
	})
}

// Of what an API server answers, these are refusals.
func TestRefusals(t *testing.T) {
	for code, want := range map[int]bool{
		http.StatusUnauthorized: true, http.StatusForbidden: true, http.StatusNotFound: true, http.StatusGone: false, http.StatusBadRequest: false,
	} {
		err := apierrors.NewGenericServerResponse(code, "GET", schema.GroupResource{}, "", "", 0, false)
		if isRefusal(err) != want || isBusy(err) || isUnreachable(err) {
			t.Errorf("%d: %v", code, err)
		}
	}
}

// Nobody who ends the informers waits for an API server.
func TestAnOutageEndsWithTheInformer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &restarting{failure: errRefused}
		informed(t, s)
		time.Sleep(time.Hour)
	})
}
