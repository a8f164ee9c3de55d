package controllers

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// outage has informers ask again at a steady pace while the API server is away. By themselves they slow down to a minute between two
// attempts, and for as long nobody would know, after the outage, of an experiment that has been deleted or an endpoint that is gone.
type outage struct {
	log *slog.Logger

	mu      sync.Mutex
	waiting int       // calls that wait for the API server; guarded by mu
	since   time.Time // when the first of them began to; guarded by mu
}

const (
	// attemptEvery is the mean time between two attempts of one informer. It lies between half and one and a half of that, so that
	// informers, and replicas, do not all come at once.
	attemptEvery = time.Second
	// settling is how long an API server that has been away may refuse what it is going to allow: it answers before it knows all roles
	// and custom resources.
	settling = time.Minute
	// dialTimeout bounds one attempt to connect. A host that is gone does not refuse, and the kernel asks it less and less often: in
	// client-go's 30 s for the last time 16 s apart.
	dialTimeout = 5 * time.Second
)

// bridge returns a ListerWatcher whose calls last until the API server says something to the point. What else goes wrong is the
// informer's to deal with, at its own pace.
func (o *outage) bridge(lw cache.ListerWatcher) cache.ListerWatcher {
	from := cache.ToListerWatcherWithContext(lw)
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return outlast(ctx, o, func() (runtime.Object, error) { return from.ListWithContext(ctx, options) })
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return outlast(ctx, o, func() (watch.Interface, error) {
				w, err := from.WatchWithContext(ctx, options)
				if goesOn := options.SendInitialEvents == nil; goesOn && isUnreachable(err) {
					// An API server that has been restarted refuses to go on from before, and then the informer waits for a second or
					// two and lists. Told now, it does that waiting while nothing is to be had.
					return nil, apierrors.NewResourceExpired("the API server cannot be reached: " + err.Error())
				}
				return w, err
			})
		},
	}
}

// outlast makes a call again until the API server is there or ctx is done.
func outlast[T any](ctx context.Context, o *outage, call func() (T, error)) (result T, err error) {
	var away time.Time // when the API server was away last
	for {
		result, err = call()
		switch {
		case err == nil || ctx.Err() != nil:
			return result, err
		case isUnreachable(err) || isBusy(err):
			if away.IsZero() {
				o.begin(err)
				defer func() { o.end(err == nil) }()
			}
			away = time.Now()
		case isRefusal(err) && time.Since(away) < settling:
		default:
			return result, err
		}
		wait := attemptEvery/2 + rand.N(attemptEvery)
		if seconds, ok := apierrors.SuggestsClientDelay(err); ok {
			wait = max(wait, time.Duration(seconds)*time.Second)
		}
		select {
		case <-ctx.Done():
			return result, err
		case <-time.After(wait):
		}
	}
}

// isUnreachable reports whether an error says that there was no answer. A server that is not the one we trust has given one.
func isUnreachable(err error) bool {
	var none *url.Error
	var untrusted *tls.CertificateVerificationError
	return errors.As(err, &none) && !errors.As(err, &untrusted)
}

// isBusy reports whether the API server has answered that it cannot, for now. 504 is not among these answers: it may stand for a version
// that the server will never have, and then the informer must list.
func isBusy(err error) bool {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.Status().Code {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable:
		return true
	}
	return false
}

// isRefusal reports whether the API server has answered that we may not do this, or that there is no such thing.
func isRefusal(err error) bool {
	return apierrors.IsUnauthorized(err) || apierrors.IsForbidden(err) || apierrors.IsNotFound(err)
}

// begin notes that a call waits for the API server.
func (o *outage) begin(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.waiting++; o.waiting == 1 {
		o.since = time.Now()
		o.log.Warn("the API server does not answer: what it said last is served on", "error", err)
	}
}

// end notes that a call for which begin was called does not wait any more.
func (o *outage) end(answered bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.waiting--; o.waiting == 0 && answered {
		o.log.Info("the API server answers again", "after", time.Since(o.since).Round(time.Millisecond))
	}
}
