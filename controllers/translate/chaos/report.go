package chaos

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// report returns what there is to say about an object before anything is known from the data plane. overlapping are the
// Experiments that share targets with it, itself included.
func report(n *object, overlapping []*proxy.Experiment) *status.NetworkChaos {
	r := &status.NetworkChaos{UID: n.source.UID, Generation: n.source.Generation, Target: targetSummary(n.source), DryRun: n.source.Spec.DryRun}
	if n.refused != nil {
		r.Conditions = []metav1.Condition{status.Condition(v1alpha1.ConditionAccepted, false, n.refused.reason, n.refused.message, r.Generation)}
		return r
	}
	names := make([]types.NamespacedName, len(overlapping))
	for i, x := range overlapping {
		names[i] = nameOf(x)
	}
	r.Accept(names, n.remark)
	if w := &n.experiment.Window; w.Schedule == "" {
		r.Start, r.End = status.Moment(w.Start), status.Moment(w.Start.Add(w.Duration))
	}
	return r
}

// targetSummary returns the first target for readers.
func targetSummary(source *v1alpha1.NetworkChaos) string {
	refs := source.Spec.TargetRefs
	if len(refs) == 0 {
		return ""
	}
	text := refs[0].Kind + "/" + refs[0].Name
	if refs[0].Namespace != nil && *refs[0].Namespace != source.Namespace {
		text = refs[0].Kind + "/" + *refs[0].Namespace + "/" + refs[0].Name
	}
	if refs[0].SectionName != nil {
		text += ":" + *refs[0].SectionName
	}
	if more := len(refs) - 1; more > 0 {
		text += fmt.Sprintf(" +%d", more)
	}
	return text[:min(len(text), 512)]
}
