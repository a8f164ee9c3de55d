package main

import (
	"testing"

	"github.com/breakwater-gateway/breakwater/test/bench/peer"
	"github.com/breakwater-gateway/breakwater/test/bench/scale"
)

func TestRowsOfScaleSayWhatTheyAre(t *testing.T) {
	ours, nginx := peer.Peer{CommandLine: "breakwater"}, peer.Peer{}
	for _, test := range []struct {
		peer   peer.Peer
		layout scale.Layout
		want   string
	}{
		{ours, scale.Layout{Hosts: 1000, PerService: 10}, "1000 Ingresses of one host and one route each; every 10 of them share one Service, which makes 100, each with upstream connections of its own to the same endpoint"},
		{ours, scale.Layout{Hosts: 1000, PerService: 1000}, "1000 Ingresses of one host and one route each, all with the same Service"},
		{nginx, scale.Layout{Hosts: 10, PerService: 10}, "10 servers of one name and one location each, all with the same upstream"},
	} {
		if got := meaningOf(test.peer, test.layout); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
