package controllers

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/view"
)

// Remark is one thing to say about a folder of manifests.
type Remark struct {
	Place   view.Place // Line 0: not known; File "": neither is the file
	Object  string     // "Ingress shop/web", with the part of it that is meant; may be empty
	Reason  string     // names the field, if it is about one
	Warning bool       // what is there is served, but perhaps not as it is meant
}

// Check reads a folder of manifests as Files would with these options, and returns what is to be said about it, by file and line,
// and the number of objects. If a manifest is invalid that is all: without it others would seem to lack what is in it.
func Check(dir string, o translate.Options) (remarks []Remark, objects int) {
	folder := view.NewFolder(dir)
	changes, problems, good := folder.Load(time.Now())
	for _, p := range problems {
		if p.Level == view.Skipped {
			continue
		}
		reason := p.Reason
		if p.Field != "" {
			reason = p.Field + ": " + reason
		}
		remarks = append(remarks, Remark{view.Place{File: p.File, Line: p.Line}, p.Object, reason, p.Level == view.Warning})
	}
	if good {
		report := translate.Build(folder.View, o, nil).Report
		for _, f := range append(findings(report), warnings(folder.View, o, report)...) {
			place, _ := folder.Place(f.kind, f.object)
			object := strings.TrimSpace(f.kind + " " + f.name() + " " + f.part)
			remarks = append(remarks, Remark{place, object, cmp.Or(f.message, f.reason), f.isWarning()})
		}
	}
	slices.SortStableFunc(remarks, func(a, b Remark) int {
		return cmp.Or(strings.Compare(a.Place.File, b.Place.File), cmp.Compare(a.Place.Line, b.Place.Line))
	})
	return remarks, len(changes.Added)
}

// isWarning reports whether the object is served in spite of the finding.
func (f *finding) isWarning() bool {
	switch f.reason {
	case status.ReasonTLSNotServed, status.ReasonUnsupportedField, status.ReasonShadowed, status.ReasonPathConflict,
		reasonNotServed, reasonUnknownName, reasonNoEndpoints, reasonExperiment:
		return true
	}
	return false
}
