package main

import (
	"io"
	"slices"
	"testing"
)

func TestOptionsChoosePeersAndParts(t *testing.T) {
	o, err := parseOptions([]string{"--breakwater", "bin/x", "--breakwater", "old=bin/y", "--breakwater-cmd", "n=run it -v", "--only", "old,nginx", "--workload", "small,scale", "--scale", "5,7", "--api-scale", "9,8"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if want := []named{{"breakwater", "bin/x"}, {"old", "bin/y"}, {"n", "run it -v"}}; !slices.Equal(o.breakwaters, want) {
		t.Errorf("breakwaters %v, want %v", o.breakwaters, want)
	}
	if !o.wantsPeer("old") || !o.wantsPeer("nginx") || o.wantsPeer("caddy") || !o.wantsPart("scale") || o.wantsPart("idle") {
		t.Error("wrong choice of peers or parts")
	}
	if !slices.Equal(o.scales, []int{5, 7}) || !slices.Equal(o.apiScales, []int{8, 9}) || o.rounds != 5 || o.out == "" {
		t.Errorf("options %+v", o)
	}
}

func TestTargetsAloneAreMeasuredUnlessPeersAreNamed(t *testing.T) {
	o, err := parseOptions([]string{"--target", "x=12=http://127.0.0.1:1/a=b"}, io.Discard)
	if err != nil || !slices.Equal(o.targets, []target{{"x", 12, "http://127.0.0.1:1/a=b"}}) || o.wantsPeer("nginx") {
		t.Errorf("options %+v, %v", o, err)
	}
	o, err = parseOptions([]string{"--target", "x=12=http://127.0.0.1:1/", "--only", "nginx"}, io.Discard)
	if err != nil || !o.wantsPeer("nginx") {
		t.Errorf("options %+v, %v", o, err)
	}
}

func TestQuickKeepsWhatIsGiven(t *testing.T) {
	o, err := parseOptions([]string{"--quick", "--rounds", "4", "--scale", "3"}, io.Discard)
	if err != nil || o.rounds != 4 || o.seconds != 1 || !slices.Equal(o.scales, []int{3}) || !slices.Equal(o.apiScales, []int{1000}) || !o.wantsPart("api") || o.wantsPart("get100k") || !o.wantsPart("idle") {
		t.Errorf("options %+v, %v", o, err)
	}
}

func TestChaosMeasurementsCanBeChosenByName(t *testing.T) {
	o, err := parseOptions([]string{"--workload", "chaos", "--chaos", "kill"}, io.Discard)
	if err != nil || !o.wantsChaos(chaosKill) || o.wantsChaos(chaosGuard) || o.wantsChaos(chaosCost) {
		t.Errorf("options %+v, %v", o, err)
	}
	for _, name := range chaosParts() {
		if !(&options{}).wantsChaos(name) || (&options{parts: []string{partScale}}).wantsChaos(name) {
			t.Errorf("%s: wrong choice", name)
		}
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"--workload", "big"},
		{"--scale", "0"},
		{"--scale", "x"},
		{"--api-scale", "-1"},
		{"--rounds", "0"},
		{"--target", "x=http://a/"},
		{"--target", "x=y=http://a/"},
		{"--breakwater", "a", "--breakwater", "b"},
		{"--breakwater", "x="},
		{"stray"},
	} {
		if o, err := parseOptions(args, io.Discard); err == nil {
			t.Errorf("%q gave %+v and no error", args, o)
		}
	}
}
