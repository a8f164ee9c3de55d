package park

import "testing"

// TestALotThatCannotWaitWakesWhatIsThere: better awake than forgotten.
func TestALotThatCannotWaitWakesWhatIsThere(t *testing.T) {
	l := newLot(t)
	ps := []pair{newPair(t), newPair(t)}
	w, late := newWaiting(), newWaiting()
	l.mustPark(t, w, ps...)
	l.mu.Lock()
	epoll, done := l.epoll, l.done
	l.mu.Unlock()
	_ = epoll.Close() // as if the system had
	<-done
	w.wantWoken(t)
	if l.Count() != 0 || l.Take(&w.Entry) {
		t.Error("it is still parked")
	}
	if l.Park(&late.Entry, ps[0].raw) {
		t.Error("something is parked for ever")
	}
}
