package toxic

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAwait(t *testing.T) {
	gone := make(chan struct{})
	close(gone)
	const second = time.Second
	for name, c := range map[string]struct {
		holds     []Hold
		leaves    time.Duration // nobody wants the connection any more
		want      Dial
		wantAfter time.Duration
	}{
		"nothing":                       {nil, 0, DialGoes, 0},
		"delays":                        {[]Hold{{Delay: second}, {Delay: 2 * second}}, 0, DialGoes, 3 * second},
		"refused":                       {[]Hold{{Refused: true}}, 0, DialRefused, 0},
		"refused after another's delay": {[]Hold{{Refused: true}, {Delay: second}}, 0, DialRefused, second},
		"lost":                          {[]Hold{{Delay: second, Refused: true}}, 0, DialTimesOut, second},
		"too slow":                      {[]Hold{{Delay: time.Hour}}, 0, DialTimesOut, 10 * second},
		"too slow together":             {[]Hold{{Delay: 6 * second}, {Delay: 6 * second}}, 0, DialTimesOut, 10 * second},
		"all the time there is":         {[]Hold{{Delay: 10 * second}}, 0, DialTimesOut, 10 * second},
		"gone before":                   {[]Hold{{Delay: second, Refused: true, Gone: gone}}, 0, DialGoes, 0},
		"left":                          {[]Hold{{Delay: 5 * second}}, second, DialInterrupted, second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				got := Await(c.holds, 10*second, func(d time.Duration, gone <-chan struct{}) bool {
					if c.leaves > 0 && c.leaves < d {
						time.Sleep(c.leaves)
						return false
					}
					select {
					case <-gone:
					case <-time.After(d):
					}
					return true
				})
				if after := time.Since(began); got != c.want || after != c.wantAfter {
					t.Errorf("%d after %v, want %d after %v", got, after, c.want, c.wantAfter)
				}
			})
		})
	}
}

// What is taken back while it holds a dial up holds it up no longer, and does not refuse it.
func TestAwaitGoesOnWhenAHoldIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, gone := time.Now(), make(chan struct{})
		time.AfterFunc(time.Second, func() { close(gone) })
		got := Await([]Hold{{Delay: time.Hour, Refused: true, Gone: gone}}, time.Minute, func(_ time.Duration, gone <-chan struct{}) bool {
			<-gone
			return true
		})
		if got != DialGoes || time.Since(began) != time.Second {
			t.Errorf("%d after %v", got, time.Since(began))
		}
	})
}
