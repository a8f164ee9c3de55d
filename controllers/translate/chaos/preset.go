package chaos

import (
	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// presetToxics returns the toxics that a preset stands for, for datagrams or for streams; nil if there is no such preset.
func presetToxics(name v1alpha1.Preset, datagrams bool) []proxy.ExperimentToxic {
	p, _ := toxic.FindPreset(string(name))
	var fit []proxy.ExperimentToxic
	for _, t := range p.Toxics() {
		_, onStreams := t.Toxic.(toxic.Stream)
		_, onDatagrams := t.Toxic.(toxic.Datagram)
		if datagrams && onDatagrams || !datagrams && onStreams {
			fit = append(fit, t)
		}
	}
	return fit
}
