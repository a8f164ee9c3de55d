package controllers

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/controllers/infrastructure"
	"github.com/breakwater-gateway/breakwater/controllers/view"
)

// What one change costs among 10,000 Ingresses, from its arrival to the call of Apply.
func BenchmarkOneChange(b *testing.B) {
	const ingresses = 10_000
	l := &loop{
		options: options(),
		ports:   infrastructure.Range{First: 20000, Last: 20099},
		builder: builder{dataPlane: &target{}, log: slog.New(slog.DiscardHandler)},
		outbox:  newOutbox(),
		synced:  make(chan struct{}),
		log:     slog.New(slog.DiscardHandler),
		view:    view.New(),
	}
	l.take(event{object: aService(), at: time.Now()})
	l.take(event{object: aSlice("s", "web", "192.0.2.1"), at: time.Now()})
	for i := range ingresses {
		l.take(event{object: anIngress(fmt.Sprint("i", i)), at: time.Now()})
	}
	l.take(event{at: time.Now()})
	l.build()

	b.Run("route", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			changed := anIngress("i77")
			changed.Generation = int64(i)
			changed.Spec.Rules[0].HTTP.Paths[0].Path = fmt.Sprint("/", i)
			l.take(event{object: changed, at: time.Now()})
			l.build()
		}
	})
	b.Run("endpoint", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			l.take(event{object: aSlice("s", "web", fmt.Sprintf("192.0.2.%d", 1+i%250)), at: time.Now()})
			l.build()
		}
	})
}
