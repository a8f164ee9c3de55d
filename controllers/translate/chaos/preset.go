package chaos

import (
	"slices"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// presetToxics returns those toxics of a preset that some of the targets may carry; nil if there is no such preset. Where both
// streams and datagrams may come by, each get what is for them: the engine tells them apart.
func presetToxics(name v1alpha1.Preset, targets []v1alpha1.TargetRef) []proxy.ExperimentToxic {
	p, found := toxic.FindPreset(string(name))
	if !found {
		return nil
	}
	var carried traffic
	for i := range targets {
		carried |= carriedBy(targets[i].Kind)
	}
	return slices.DeleteFunc(p.Toxics(), func(t proxy.ExperimentToxic) bool { return actsOn(t.Toxic)&carried == 0 })
}
