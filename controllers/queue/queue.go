// Package queue brings objects to a desired state: one entry per object, the latest value wins, several workers, retry
// with a growing delay.
//
// A Queue remembers the desired value of every key whether it runs or not, so that a replica that becomes leader writes
// whatever differs. It knows nothing of what it writes. All methods may be called concurrently.
package queue

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
)

// Delays between attempts at one key: doubled from the first to the last.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// Queue holds the desired value of each key.
type Queue[K comparable, V any] struct {
	config Config[K, V]

	mu      sync.Mutex
	desired map[K]V                                 // guarded by mu
	work    workqueue.TypedRateLimitingInterface[K] // guarded by mu; nil while not running
}

// Config says what a Queue does with its entries.
type Config[K comparable, V any] struct {
	// Equal reports whether two values ask for the same state.
	Equal func(a, b V) bool
	// Write brings the object to the state that v asks for, or finds that it is in it. An error means: try again later.
	Write func(ctx context.Context, key K, v V) error
	// Failed is told of every error of Write, for the log. It must not block.
	Failed func(key K, err error)
	// Workers is the number of keys written at once, at least 1.
	Workers int
}

// New returns a Queue without entries.
func New[K comparable, V any](c Config[K, V]) *Queue[K, V] {
	return &Queue[K, V]{config: c, desired: map[K]V{}}
}

// Set makes v the desired value of key and has it written if that is news.
func (q *Queue[K, V]) Set(key K, v V) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if old, ok := q.desired[key]; ok && q.config.Equal(old, v) {
		return
	}
	q.desired[key] = v
	q.add(key)
}

// SetIfAbsent makes v the desired value of key unless it has one.
func (q *Queue[K, V]) SetIfAbsent(key K, v V) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, ok := q.desired[key]; !ok {
		q.desired[key] = v
		q.add(key)
	}
}

// Check has key compared with its desired value once more, if it has one: something else may have changed the object.
func (q *Queue[K, V]) Check(key K) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, ok := q.desired[key]; ok {
		q.add(key)
	}
}

// Forget removes key: nothing is desired of it any more.
func (q *Queue[K, V]) Forget(key K) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.desired, key)
}

// ForgetIf removes key if v is still what is desired of it, and reports whether it was.
func (q *Queue[K, V]) ForgetIf(key K, v V) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	now, ok := q.desired[key]
	if !ok || !q.config.Equal(now, v) {
		return false
	}
	delete(q.desired, key)
	return true
}

// Desired returns the desired value of key, and whether it has one.
func (q *Queue[K, V]) Desired(key K) (v V, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	v, ok = q.desired[key]
	return v, ok
}

// Keys returns the keys that have a desired value, in no order.
func (q *Queue[K, V]) Keys() []K {
	q.mu.Lock()
	defer q.mu.Unlock()
	keys := make([]K, 0, len(q.desired))
	for key := range q.desired {
		keys = append(keys, key)
	}
	return keys
}

// Run writes every entry and then whatever is set, until ctx is done. It returns when the last write has ended. It may be
// called again, but not twice at once.
func (q *Queue[K, V]) Run(ctx context.Context) {
	work := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[K](firstRetry, lastRetry))
	q.mu.Lock()
	q.work = work
	for key := range q.desired {
		q.add(key)
	}
	q.mu.Unlock()

	var workers sync.WaitGroup
	for range q.config.Workers {
		workers.Go(func() {
			for q.one(ctx, work) {
			}
		})
	}
	<-ctx.Done()
	q.mu.Lock()
	q.work = nil
	q.mu.Unlock()
	work.ShutDown()
	workers.Wait()
}

// one writes the next key; false means that the queue has been shut down.
func (q *Queue[K, V]) one(ctx context.Context, work workqueue.TypedRateLimitingInterface[K]) bool {
	key, down := work.Get()
	if down {
		return false
	}
	defer work.Done(key)
	q.mu.Lock()
	v, ok := q.desired[key]
	q.mu.Unlock()
	if !ok || ctx.Err() != nil {
		work.Forget(key)
		return true
	}
	if err := q.config.Write(ctx, key, v); err != nil {
		if ctx.Err() == nil {
			q.config.Failed(key, err)
			work.AddRateLimited(key)
		}
		return true
	}
	work.Forget(key)
	return true
}

// add is called with mu held.
func (q *Queue[K, V]) add(key K) {
	if q.work != nil {
		q.work.Add(key)
	}
}
