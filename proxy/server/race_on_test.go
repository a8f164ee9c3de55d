//go:build race

package server

// raceEnabled: the race detector is on.
const raceEnabled = true
