//go:build !race

package server

// raceEnabled: the race detector is off.
const raceEnabled = false
