package chaos

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Cut is why the API for Toxiproxy's clients, and no toxic, has closed connections of a proxy.
type Cut uint8

const (
	// CutDisabled: the proxy was disabled.
	CutDisabled Cut = iota
	// CutDeleted: the proxy was deleted.
	CutDeleted
	// CutMoved: the proxy was made to listen, or to lead, elsewhere.
	CutMoved
	// CutReleased: a toxic that held them was removed, which ends them as with Toxiproxy.
	CutReleased
	// CutTooMany: there were as many as there may be, so that they were closed at once.
	CutTooMany
	cuts
)

// String returns the reason as metrics and reports have it.
func (c Cut) String() string {
	return [...]string{"disabled", "deleted", "moved", "released", "too_many"}[c]
}

// CutReport is how many connections of a proxy have been closed for one reason.
type CutReport struct {
	Proxy       string `json:"proxy"` // "" for those that there is no room for, together
	Why         string `json:"why"`   // a Cut
	Connections uint64 `json:"connections"`
}

// cutLedger holds the Cuts of proxies, whether they have toxics or not. The zero value is ready.
type cutLedger struct {
	total [cuts]atomic.Uint64 // since the beginning

	mu     sync.Mutex
	rows   []*cutRow // guarded by mu; in the order in which they came, at most maxOwners
	others cutRow    // guarded by mu; those that there is no room for
}

type cutRow struct {
	proxy string
	n     [cuts]uint64
}

// CountCut takes down that a connection of a proxy is closed. It does not block.
func (e *Engine) CountCut(proxy string, why Cut) {
	l := &e.cuts
	l.total[why].Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.row(proxy).n[why]++
}

// CutCounts are how many connections of proxies have been closed since the beginning, by reason. They never go down.
func (e *Engine) CutCounts() map[string]uint64 {
	counts := map[string]uint64{}
	for why := range e.cuts.total {
		counts[Cut(why).String()] = e.cuts.total[why].Load()
	}
	return counts
}

// row returns that of a proxy. The oldest gives way if there is no room. l.mu is held.
func (l *cutLedger) row(proxy string) *cutRow {
	if i := slices.IndexFunc(l.rows, func(r *cutRow) bool { return r.proxy == proxy }); i >= 0 {
		return l.rows[i]
	}
	left, _ := makeRoom(l.rows, maxOwners, func(*cutRow) bool { return false }, func(r *cutRow) {
		for why, n := range r.n {
			l.others.n[why] += n
		}
	})
	r := &cutRow{proxy: proxy}
	l.rows = append(left, r)
	return r
}

// report has the proxies in the order in which they came, others last.
func (l *cutLedger) report() (all []CutReport) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range withOthers(l.rows, &l.others) {
		for why, n := range r.n {
			if n > 0 {
				all = append(all, CutReport{r.proxy, Cut(why).String(), n})
			}
		}
	}
	return all
}

// forget has nothing reported of what has been.
func (l *cutLedger) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows, l.others = nil, cutRow{}
}
