//go:build !linux

package http1

import (
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// spliceMin is out of reach: only Linux has splice(2).
const spliceMin = math.MaxInt64

type spliceSlots struct {
	slot, other *slot
	watch       *Watch
	stopped     *atomic.Bool
	limit       *limit
	drained     *atomic.Bool
	read, write time.Duration
	flags       uint64
}

func spliceN(_, _ *sock, _ int64, _ spliceSlots) (int64, proxy.Side, error) {
	return 0, proxy.Internal, errors.ErrUnsupported
}
