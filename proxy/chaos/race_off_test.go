//go:build !race

package chaos

// raceEnabled: the race detector is off.
const raceEnabled = false
