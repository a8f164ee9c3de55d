package main

import (
	"math"
	"testing"
)

func TestMomentsAreThoseOfTheSeries(t *testing.T) {
	got := moments([]float64{2, 4, 4, 4, 5, 5, 7, 9})
	for i, want := range []float64{5, 2, 2, 9} {
		if math.Abs(got[i]-want) > 1e-9 {
			t.Errorf("moments %v, want mean 5, deviation 2, 2 and 9", got)
		}
	}
}

func TestStreamMeasurementsCanBeChosenByName(t *testing.T) {
	o := options{stream: "bulk"}
	chosen := 0
	for _, w := range streamWorkloads(true) {
		if o.wantsStream(w.name) != w.bulk {
			t.Errorf("%s: bulk %v", w.name, w.bulk)
		}
		chosen++
	}
	if o.wantsStream(partIdle) || chosen == 0 || !(&options{}).wantsStream(partIdle) {
		t.Error("wrong choice")
	}
}
