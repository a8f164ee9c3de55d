package view

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// Document is one object of a file, or what is wrong in its place.
type Document struct {
	Number   int    // of the YAML document in the file, from 1; the items of a List share it
	Line     int    // where the YAML document begins
	Object   Object // with defaults; nil if it could not be decoded
	Problems []Problem

	text []byte // of what could not be decoded
}

// Parse decodes the YAML or JSON documents of a file. Decoding is strict: unknown and duplicate fields are Problems, and
// so is what an API server would refuse. file only names the source in Problems.
func Parse(file string, data []byte) []Document {
	documents, _ := parse(file, data, nil)
	return documents
}

// texts are the documents of a file that was parsed before, by a hash of their text.
type texts map[[sha256.Size]byte][]Document

// parse is Parse with a memory: a document whose text stood in the file before keeps its objects.
func parse(file string, data []byte, before texts) ([]Document, texts) {
	p := parsing{file: file}
	after := texts{}
	for i, chunk := range split(data) {
		p.at = Problem{File: file, Document: i + 1, Line: chunk.line}
		first := len(p.documents)
		text := sha256.Sum256(chunk.data)
		if known, ok := before[text]; ok {
			p.again(known)
		} else {
			p.document(chunk)
		}
		documents := p.documents[first:]
		locate(chunk, documents)
		if !slices.ContainsFunc(documents, func(d Document) bool { return holds(d.Problems) }) {
			after[text] = documents
		}
		for i := range documents {
			if documents[i].Object == nil && holds(documents[i].Problems) {
				documents[i].text = chunk.data
			}
		}
	}
	return p.documents, after
}

// again takes over the documents that this text has been found to hold.
func (p *parsing) again(known []Document) {
	for _, d := range known {
		down := p.at.Line - d.Line
		d.Number, d.Line = p.at.Document, p.at.Line
		d.Problems = slices.Clone(d.Problems)
		for i := range d.Problems {
			d.Problems[i].Document = d.Number
			d.Problems[i].Line += down
		}
		p.documents = append(p.documents, d)
	}
}

// parsing is a file being parsed.
type parsing struct {
	file      string
	at        Problem // the place, for Problems
	text      []byte  // of the YAML document, if it is one object
	tree      *tree   // of text; nil before it is asked for
	documents []Document
}

// header is what tells what a document is.
type header struct {
	APIVersion, Kind, Name, Namespace string
}

// describe returns kind, namespace and name as far as they are known.
func (h *header) describe() string {
	name := h.Name
	if h.Namespace != "" {
		name = h.Namespace + "/" + name
	}
	return strings.TrimSpace(h.Kind + " " + name)
}

// header returns the header of an object in JSON. A part of it that is not text is taken for absent, and reported if nobody else does:
// names are decoded again with the rest.
func (p *parsing) header(data []byte) (h header, ok bool) {
	var read struct {
		APIVersion any `json:"apiVersion"`
		Kind       any `json:"kind"`
		Metadata   struct {
			Name      any `json:"name"`
			Namespace any `json:"namespace"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(data, &read); err != nil {
		var value any
		if err := json.Unmarshal(data, &value); err != nil {
			p.refuse("", "is not an object: "+err.Error())
			return h, false
		}
		if _, ok := value.(map[string]any); !ok {
			p.refuse("", p.mistype("", value, "an object"))
			return h, false
		}
	}
	h.APIVersion, _ = read.APIVersion.(string)
	h.Kind, _ = read.Kind.(string)
	h.Name, _ = read.Metadata.Name.(string)
	h.Namespace, _ = read.Metadata.Namespace.(string)
	for _, part := range []struct {
		field, text string
		value       any
	}{{"kind", h.Kind, read.Kind}, {"apiVersion", h.APIVersion, read.APIVersion}} {
		if _, isText := part.value.(string); part.value != nil && !isText {
			if h.Kind != "" {
				p.at.Object = h.describe()
			}
			p.refuse(part.field, p.mistype(part.field, part.value, wantText))
			return h, false
		}
	}
	return h, true
}

func (p *parsing) document(c chunk) {
	data, err := yaml.YAMLToJSONStrict(c.data)
	if err != nil {
		reason, lines := yamlProblem(err)
		if before, _, ok := bytes.Cut(c.data, []byte("{{")); ok {
			reason, lines = "looks like a template: render it first", bytes.Count(before, []byte("\n"))
		}
		if lines >= 0 {
			p.at.Line = c.from + lines
		}
		p.refuse("", reason)
		return
	}
	if bytes.Equal(data, []byte("null")) {
		return // nothing but comments
	}
	p.text, p.tree = c.data, nil
	p.object(data, "")
}

// object decodes one object. kind is what it is if it does not say, as in a typed list.
func (p *parsing) object(data []byte, kind string) {
	p.at.Object = "" // of the item before
	h, ok := p.header(data)
	if !ok {
		return
	}
	if h.Kind == "" {
		h.Kind = kind
	}
	if item, isList := strings.CutSuffix(h.Kind, "List"); isList {
		p.list(data, item)
		return
	}
	p.at.Object = h.describe()
	switch {
	case h.Kind == "":
		p.refuse("kind", "is missing")
		return
	case h.APIVersion == "" && kind == "":
		p.refuse("apiVersion", "is missing")
		return
	}
	k, known := kindOf(h.APIVersion, h.Kind, kind != "")
	if !known {
		p.unknown(h)
		return
	}
	if k.namespaced && h.Namespace == "" {
		h.Namespace = metav1.NamespaceDefault
		p.at.Object = h.describe()
	}
	p.decode(data, k)
}

// define sets the defaults of a custom resource and checks it by its definition.
func (p *parsing) define(data []byte, k kind) (completed []byte, problems []Problem) {
	d, err := k.definition()
	if err != nil {
		return nil, []Problem{p.problem("", err.Error())}
	}
	completed, faults := d.complete(data)
	for _, f := range faults {
		problems = append(problems, p.problem(f.field, f.reason))
	}
	return completed, problems
}

func (p *parsing) list(data []byte, kind string) {
	var list struct {
		Items []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		var object map[string]any
		_ = json.Unmarshal(data, &object) // the header has been read
		p.refuse("items", p.mistype("items", object["items"], "a list"))
		return
	}
	p.text, p.tree = nil, nil // fields are those of the items
	for _, item := range list.Items {
		p.object(item, kind)
	}
}

func (p *parsing) decode(data []byte, k kind) {
	if k.definition != nil {
		completed, problems := p.define(data, k)
		if len(problems) > 0 {
			problems = append(problems, p.unknownFields(completed, k)...)
			p.documents = append(p.documents, Document{Number: p.at.Document, Line: p.at.Line, Problems: problems})
			return
		}
		data = completed
	}
	var doubts []Problem
	if k.name == "ConfigMap" {
		data, doubts = p.asText(data)
	}
	object := k.new()
	strict, err := kjson.UnmarshalStrict(data, object)
	if err != nil {
		problems := p.mistypes(data, object)
		if len(problems) == 0 {
			problems = []Problem{p.problem("", strings.TrimPrefix(err.Error(), "json: "))}
		}
		p.documents = append(p.documents, Document{Number: p.at.Document, Line: p.at.Line, Problems: problems})
		return
	}
	d := Document{Number: p.at.Document, Line: p.at.Line, Object: object, Problems: doubts}
	setScope(object, k)
	p.at.Object = describe(object)
	d.Problems = append(d.Problems, p.strict(strict)...)
	k.finish(object)
	check(object, k, func(field, reason string) {
		d.Problems = append(d.Problems, p.problem(field, reason))
	})
	if m, ok := object.(*corev1.ConfigMap); ok && holds(d.Problems) {
		m.Data = nil // a kill switch of which not all is understood says nothing
	}
	p.documents = append(p.documents, d)
}

// strict returns what strict decoding says besides.
func (p *parsing) strict(errs []error) (problems []Problem) {
	for _, e := range errs {
		problems = append(problems, p.problem("", e.Error()))
	}
	return problems
}

// unknownFields returns the fields that a custom resource does not have, which often explain what is missing in it.
func (p *parsing) unknownFields(data []byte, k kind) []Problem {
	strict, err := kjson.UnmarshalStrict(data, k.new())
	if err != nil {
		return nil // a value of another type, which the definition has found as well
	}
	return p.strict(strict)
}

// asText returns a ConfigMap whose data are text, as an API server wants them: "chaos: off" is a boolean in YAML. What is
// neither text nor one word is left out, which of a kill switch means that chaos is off.
func (p *parsing) asText(data []byte) ([]byte, []Problem) {
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil || m["data"] == nil {
		return data, nil
	}
	var doubts []Problem
	doubt := func(field, reason string) {
		problem := p.problem(field, reason)
		problem.Level = Warning
		doubts = append(doubts, problem)
	}
	values, ok := m["data"].(map[string]any)
	if !ok {
		doubt("data", "is not an object, so it is left out")
		delete(m, "data")
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		field := "data." + key
		switch v := values[key].(type) {
		case string:
		case bool, float64:
			values[key] = fmt.Sprint(v)
			doubt(field, fmt.Sprintf("is taken as the text %q; a cluster would refuse it: write it in quotes", fmt.Sprint(v)))
		default:
			delete(values, key)
			doubt(field, "is not text, so it is left out")
		}
	}
	text, err := json.Marshal(m)
	if err != nil {
		return data, nil
	}
	return text, doubts
}

// unknown reports a kind that has no place in a View: an error in the groups that we read, a warning if it routes, otherwise a notice.
func (p *parsing) unknown(h header) {
	group, _, _ := strings.Cut(h.APIVersion, "/")
	var problem Problem
	switch {
	case notServedYet(group, h.Kind):
		problem = p.problem("kind", fmt.Sprintf("%s %s is not served yet and is left out", h.APIVersion, h.Kind))
		problem.Level = Warning
	case ourGroup(group) && !knownElsewhere(h.Kind):
		problem = p.problem("kind", fmt.Sprintf("there is no kind %q in %s", h.Kind, h.APIVersion))
	default:
		problem = p.problem("kind", fmt.Sprintf("%s %s has no part in routing and is left out", h.APIVersion, h.Kind))
		problem.Level = Skipped
	}
	p.documents = append(p.documents, Document{Number: p.at.Document, Line: p.at.Line, Problems: []Problem{problem}})
}

func (p *parsing) refuse(field, reason string) {
	p.documents = append(p.documents,
		Document{Number: p.at.Document, Line: p.at.Line, Problems: []Problem{p.problem(field, reason)}})
}

func (p *parsing) problem(field, reason string) Problem {
	problem := p.at
	problem.Field, problem.Reason = field, reason
	return problem
}

// yamlProblem returns what a YAML error says, and how many lines into the text it is; -1 if it does not say.
func yamlProblem(err error) (reason string, lines int) {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	reason = strings.Join(strings.Fields(err.Error()), " ")
	for _, prefix := range [...]string{"yaml: ", "unmarshal errors: "} {
		reason = strings.TrimPrefix(reason, prefix)
	}
	if rest, ok := strings.CutPrefix(reason, "line "); ok {
		number, text, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil && n > 0 {
			return "is not YAML: " + text, n - 1
		}
	}
	return "is not YAML: " + reason, -1
}

// chunk is one YAML document as text.
type chunk struct {
	line int // of its first line, from 1
	from int // the line of the file that data begin with: that of the mark in front, if there is one
	data []byte
}

// split cuts a file at the lines that separate YAML documents. Empty documents are counted and kept.
func split(data []byte) []chunk {
	chunks := []chunk{{line: 1, from: 1}}
	line := 0
	for text := range bytes.Lines(data) {
		line++
		rest, separator := cutSeparator(text)
		if !separator {
			c := &chunks[len(chunks)-1]
			c.data = append(c.data, text...)
			continue
		}
		if last := &chunks[len(chunks)-1]; len(bytes.TrimSpace(last.data)) == 0 && len(chunks) == 1 {
			*last = chunk{line: line + 1, from: line, data: rest} // the mark of the first document
			continue
		}
		chunks = append(chunks, chunk{line: line + 1, from: line, data: rest})
	}
	return chunks
}

// cutSeparator reports whether a line begins a new document, and returns what follows the mark.
func cutSeparator(text []byte) (rest []byte, ok bool) {
	rest, ok = bytes.CutPrefix(text, []byte("---"))
	if !ok || len(rest) > 0 && !bytes.ContainsAny(rest[:1], " \t\r\n") {
		return nil, false
	}
	return bytes.Clone(rest), true
}
