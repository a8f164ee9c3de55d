package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// KindNetworkChaos is the kind of NetworkChaos.
const KindNetworkChaos = "NetworkChaos"

// LabelChaos is the label by which a Namespace lets its traffic be broken: with the value ChaosEnabled.
const (
	LabelChaos    = AnnotationPrefix + "chaos"
	ChaosEnabled  = "enabled"
	ChaosDisabled = "disabled"
)

// NetworkChaos is one experiment: faults, the traffic they are meant for, their time and their bounds. Without the object
// there is no fault: deleting it ends everything it does at once.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=nchaos,categories=breakwater
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.status.target`
// +kubebuilder:printcolumn:name="At",type=string,JSONPath=`.spec.at`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.conditions[?(@.type=="Active")].reason`
// +kubebuilder:printcolumn:name="Injected",type=integer,JSONPath=`.status.counts.injected`
// +kubebuilder:printcolumn:name="Matched",type=integer,JSONPath=`.status.counts.matched`,priority=1
// +kubebuilder:printcolumn:name="Capped",type=integer,JSONPath=`.status.counts.skippedByCap`,priority=1
// +kubebuilder:printcolumn:name="Dry",type=integer,JSONPath=`.status.counts.dryRun`,priority=1
// +kubebuilder:printcolumn:name="Starts",type=string,JSONPath=`.status.startTime`,priority=1
// +kubebuilder:printcolumn:name="Ends",type=string,JSONPath=`.status.endTime`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Active")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type NetworkChaos struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says what is broken, where, for how long and within which bounds.
	// +required
	Spec NetworkChaosSpec `json:"spec"`
	// status says what has come of it.
	// +optional
	Status NetworkChaosStatus `json:"status,omitempty"`
}

// NetworkChaosList is a list of NetworkChaos.
//
// +kubebuilder:object:root=true
type NetworkChaosList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NetworkChaos `json:"items"`
}

// Duration is a length of time such as "250ms", "1.5s" or "1h30m"; the units are h, m, s, ms and us.
//
// +kubebuilder:validation:MaxLength=32
// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(\.[0-9]{1,6})?(h|m|s|ms|us)){1,4}$`
type Duration string

// Bytes is a number of bytes, or of bytes per second, such as 1500, 100k or 64Ki.
//
// +kubebuilder:validation:Type=""
// +kubebuilder:validation:XIntOrString
// +kubebuilder:validation:Pattern=`^[0-9]{1,12}(\.[0-9]{1,6})?([kMGT]|[KMGT]i)?$`
type Bytes struct {
	resource.Quantity `json:",inline"`
}

// NetworkChaosSpec says what is broken, where, for how long and within which bounds.
//
// +kubebuilder:validation:XValidation:rule="has(self.toxics) != has(self.preset)",message="give either toxics or a preset"
// +kubebuilder:validation:XValidation:rule="!has(self.endpoints) || self.at == 'Backend'",message="endpoints can be chosen at Backend only"
// +kubebuilder:validation:XValidation:rule="self.at == 'Backend' || !self.targetRefs.exists(t, t.kind == 'Service')",message="a Service is found only by routing: it can be a target at Backend only"
// +kubebuilder:validation:XValidation:rule="!has(self.sequence) || self.percent == 100.0 && !has(self.shapes)",message="percent has no effect with a sequence: leave it out"
// +kubebuilder:validation:XValidation:rule="!has(self.sequence) || self.sequence.steps.all(s, !has(s.toxics) || s.toxics.all(n, has(self.toxics) && self.toxics.exists(t, (has(t.name) ? t.name : t.type) == n)))",message="a step names a toxic that is not there"
// +kubebuilder:validation:XValidation:rule="!has(self.toxics) || self.toxics.all(a, self.toxics.exists_one(b, (has(b.name) ? b.name : b.type) == (has(a.name) ? a.name : a.type)))",message="names of toxics must differ; a toxic without a name is called like its type"
// +kubebuilder:validation:XValidation:rule="!has(self.toxics) || !self.targetRefs.exists(t, t.kind in ['TCPRoute', 'TLSRoute', 'UDPRoute']) || !self.toxics.exists(t, t.type in ['Abort', 'Delay', 'Headers', 'TruncateBody', 'WrongContentLength', 'BrokenChunk', 'CutEvents', 'Throttle'])",message="HTTP faults need targets that carry HTTP, which a TCPRoute, TLSRoute or UDPRoute does not"
// +kubebuilder:validation:XValidation:rule="!has(self.toxics) || self.targetRefs.all(t, t.kind in ['UDPRoute', 'Gateway', 'Service']) || !self.toxics.exists(t, t.type.startsWith('UDP'))",message="toxics for datagrams need targets that carry them: a UDPRoute, a Gateway or a Service"
// +kubebuilder:validation:XValidation:rule="!has(self.toxics) || !self.targetRefs.exists(t, t.kind == 'UDPRoute') || self.toxics.all(t, t.type.startsWith('UDP') || t.type in ['Corrupt', 'Down', 'Latency', 'Noop', 'Timeout'])",message="a UDPRoute carries datagrams: use toxics of UDP, Corrupt, Down, Latency, Noop or Timeout"
// +kubebuilder:validation:XValidation:rule="self.targetRefs.exists(t, !(t.kind in ['TCPRoute', 'TLSRoute', 'UDPRoute'])) || (!has(self.match) || size(self.match) == 0) && !has(self.token) && (!has(self.decideBy) || !has(self.decideBy.name)) && (!has(self.sequence) || !has(self.sequence.key) || !has(self.sequence.key.name))",message="match, token and keys of a header or cookie look at requests of HTTP, which a TCPRoute, TLSRoute or UDPRoute does not carry"
// +kubebuilder:validation:XValidation:rule="has(self.schedule) || !has(self.timeZone)",message="timeZone says nothing without a schedule"
type NetworkChaosSpec struct {
	// targetRefs name the traffic that is broken; any one suffices. Objects in other namespaces need a ReferenceGrant there,
	// from NetworkChaos in this namespace, and every target's namespace must have opted in by the label
	// breakwater-gateway.io/chaos: enabled, unless the controller does not ask for it. A Gateway or Service may serve routes of
	// other namespaces too: those that have not opted in are left alone.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	TargetRefs []TargetRef `json:"targetRefs"`

	// at says where the faults act. Client is between the client and routing: the gateway's own retries and timeouts do
	// not see them. Backend is between those and one endpoint, for each attempt, so that they can be put to the test.
	// +optional
	// +kubebuilder:default=Client
	At Point `json:"at,omitempty"`

	// match narrows the faults to HTTP requests that meet one of these; without any it is all traffic. Connections and datagrams that
	// are not HTTP are not looked into and meet none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Match []Match `json:"match,omitempty"`

	// percent of the requests or connections that get the faults, for instance 5 or 0.5. At Client each is decided once. At Backend
	// each attempt is: what the gateway tries again may meet no fault the next time, so that fewer requests fail than this says.
	// +optional
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Percent *float64 `json:"percent,omitempty"`

	// shapes let percent vary over time, counted from the start of the experiment: what counts for a request or connection is the
	// number at the time when it is decided. Parameters of toxics have shapes of their own. Bounds (maxPercent, the guard's) and
	// the choice of endpoints do not vary.
	// +optional
	// +listType=map
	// +listMapKey=parameter
	// +kubebuilder:validation:MaxItems=1
	// +kubebuilder:validation:XValidation:rule="self.all(s, s.parameter == 'percent')",message="only percent can vary over time here: a toxic's parameters have their shapes there"
	Shapes []Shape `json:"shapes,omitempty"`

	// endpoints narrows the faults to some endpoints of the backends: one sick pod of three, for instance. Backend only.
	// +optional
	Endpoints *EndpointSelector `json:"endpoints,omitempty"`

	// toxics are the faults, in the order in which they act.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Toxics []Toxic `json:"toxics,omitempty"`

	// preset stands for toxics that together are a well-known bad network: what is added to the round trip, kbit/s down/up, and
	// the share of packets lost in each direction. Connections and datagrams get those that are for them.
	//
	//	GPRS          500 ms      50/50        2 %      comcast (github.com/tylertreat/comcast)
	//	EDGE          300 ms     250/250       1.5 %    comcast
	//	3G            250 ms     750/750       1.5 %    comcast
	//	Slow4G        150 ms    1638/750                Lighthouse (core/config/constants.js)
	//	DSL            40 ms    8000/8000      0.5 %    comcast
	//	WiFi           40 ms   30000/30000     0.2 %    comcast
	//	FlakyWiFi      40 ms   30000/30000     5 %      WiFi with jitter of 20 ms and losses in bursts of 5 packets: our own choice
	//	LEOSatellite   20 ms                   2.5 %    comcast ("Starlink")
	//	GEOSatellite  558 ms                   0.2 %    RFC 2488 section 2; comcast
	//	CrossRegion    72 ms                            between regions of North America ("Azure network round-trip latency statistics", 2019)
	// +optional
	Preset *Preset `json:"preset,omitempty"`

	// sequence says one by one what happens to the first requests or connections: fail the first 2, delay the 3rd, then pass. It begins
	// anew with each run of a schedule and with each change of the spec. Connections and sessions that are open when it begins, is
	// changed or is removed keep the toxics that they have been dealt, as those are now, and get no others.
	// +optional
	Sequence *Sequence `json:"sequence,omitempty"`

	// duration of the experiment, counted from the object's creation, or of each run of the schedule. It is never exceeded:
	// the proxy itself holds the deadline. If it is left out the controller's default applies, if there is one; the
	// controller also has a maximum.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be more than 0"
	Duration *Duration `json:"duration,omitempty"`

	// schedule starts the experiment again and again: a cron expression of five fields, "0 3 * * MON-FRI" for instance. A time
	// that clocks skip starts nothing. One that they show twice counts once, unless minute or hour begins with an asterisk.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9A-Za-z*/,?#-]+( +[0-9A-Za-z*/,?#-]+){4}$')",message="must be a cron expression of five fields: minute, hour, day of month, month, day of week"
	Schedule *string `json:"schedule,omitempty"`

	// timeZone of the schedule, an IANA name such as Europe/Berlin; without it UTC.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_+/-]+$`
	TimeZone *string `json:"timeZone,omitempty"`

	// suspend stops all faults for as long as it is true. It does not move the end, and maxPercent goes on bounding other experiments.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// dryRun has everything decided and counted and nothing touched. When it is set to false, the same requests or connections in the
	// same order meet the faults that were counted, if none of them changes what clients send.
	// +optional
	DryRun bool `json:"dryRun,omitempty"`

	// seed of all decisions: the same seed, object name and order of requests or connections meet the same faults. Which of them reach one
	// endpoint or backend of several is routing's choice, and the same with the same --routing-seed.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=9007199254740991
	Seed *int64 `json:"seed,omitempty"`

	// decideBy makes decisions depend on a value that a request bears in place of the order in which requests arrive, for
	// instance a test's case number in a header. The order decides for requests without the value, or with an empty one.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.type != 'Global'",message="must name something that a request bears: ClientIP, Header or Cookie"
	DecideBy *Key `json:"decideBy,omitempty"`

	// guard halts the experiment when the traffic becomes too bad. A halt stays until rearm is changed, or the experiment is armed again by
	// "breakwater chaos rearm": at any replica, for all of them.
	// +optional
	Guard *Guard `json:"guard,omitempty"`

	// maxPercent bounds the share of a target's requests or connections that all experiments together may touch. The least of
	// all that concern a target counts, until their ends: also that of an experiment that has been halted or suspended.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:ExclusiveMinimum=true
	// +kubebuilder:validation:Maximum=100
	MaxPercent *float64 `json:"maxPercent,omitempty"`

	// token restricts the experiment to requests that bear a signed token. What bears it is removed before the request goes
	// to an endpoint.
	// +optional
	Token *Token `json:"token,omitempty"`

	// rearm is any text; changing it lifts a halt.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Rearm string `json:"rearm,omitempty"`
}

// Point is where faults act.
//
// +kubebuilder:validation:Enum=Client;Backend
type Point string

const (
	// PointClient is between the client and routing.
	PointClient Point = "Client"
	// PointBackend is between the gateway's retry, timeout and health logic and one endpoint.
	PointBackend Point = "Backend"
)

// TargetRef names an object whose traffic is meant.
//
// +kubebuilder:validation:XValidation:rule="!has(self.group) || (self.kind == 'Service' ? size(self.group) == 0 : self.group == (self.kind == 'Ingress' ? 'networking.k8s.io' : 'gateway.networking.k8s.io'))",message="this kind is of another group: networking.k8s.io has Ingress, the core group has Service, all others are of gateway.networking.k8s.io"
// +kubebuilder:validation:XValidation:rule="!has(self.sectionName) || self.kind == 'Gateway'",message="sectionName names a listener: it goes with a Gateway only"
type TargetRef struct {
	// group of the object. It need not be given: the kind tells.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Group *string `json:"group,omitempty"`
	// kind of the object.
	// +required
	// +kubebuilder:validation:Enum=HTTPRoute;GRPCRoute;TCPRoute;TLSRoute;UDPRoute;Ingress;Gateway;Service
	Kind string `json:"kind"`
	// name of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// namespace of the object; without it that of the NetworkChaos.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace *string `json:"namespace,omitempty"`
	// sectionName is the name of a listener of a Gateway; without it all listeners are meant.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SectionName *string `json:"sectionName,omitempty"`
}

// Match selects requests: all that is set must hold.
//
// +kubebuilder:validation:MinProperties=1
type Match struct {
	// path of the request.
	// +optional
	Path *PathMatch `json:"path,omitempty"`
	// method of the request.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern="^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
	Method *string `json:"method,omitempty"`
	// headers of the request.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Headers []HeaderMatch `json:"headers,omitempty"`
	// query holds parameters of the query; of a repeated one the first counts.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Query []QueryMatch `json:"query,omitempty"`
}

// PathMatch is a condition on the path, which is compared in its normal form. Values that no normal form can equal are refused.
//
// +kubebuilder:validation:XValidation:fieldPath=".value",rule="self.value.startsWith('/') || self.type == 'RegularExpression' && self.value.matches('^[(^.]')",message="must begin with a slash; a RegularExpression may also begin with ^, ( or ."
// +kubebuilder:validation:XValidation:fieldPath=".value",rule=`self.type == 'RegularExpression' || self.value.matches(r'^([^\x00-\x20\x7f#%?\\]|%([2-6][0-9A-Fa-f]|7[0-9A-Ea-e]|[89A-Fa-f][0-9A-Fa-f]))*$')`,message="must be without spaces, #, ?, backslashes, control characters (not even escaped) and % that no two hexadecimal digits follow"
// +kubebuilder:validation:XValidation:fieldPath=".value",rule="self.type == 'RegularExpression' || !self.value.contains('//')",message="must be without //: slashes that follow each other count as one"
// +kubebuilder:validation:XValidation:fieldPath=".value",rule=`self.type == 'RegularExpression' || !self.value.matches(r'(?i)(/|%2f|%5c)(\.|%2e){1,2}(/|;|%2f|%3b|%5c|$)')`,message="must be without . and .. as elements, and without what servers may take for them, such as ..;"
type PathMatch struct {
	// type says how value is compared: Exact, PathPrefix (whole elements) or RegularExpression (RE2, the whole path).
	// +optional
	// +kubebuilder:default=PathPrefix
	// +kubebuilder:validation:Enum=Exact;PathPrefix;RegularExpression
	Type string `json:"type,omitempty"`
	// value that the path is compared with. That of a request is compared with "." and ".." resolved, slashes that follow each other
	// merged, and nothing escaped that need not be ("%2F" stays). So value must begin with a slash and be without such elements, "//",
	// spaces, "?", "#", backslashes and control characters. A RegularExpression may have all of them, and begins with a slash, ^, ( or a
	// dot.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Value string `json:"value"`
}

// HeaderMatch is a condition on a header field.
type HeaderMatch struct {
	// type says how value is compared: Exact or RegularExpression (RE2, the whole value).
	// +optional
	// +kubebuilder:default=Exact
	// +kubebuilder:validation:Enum=Exact;RegularExpression
	Type string `json:"type,omitempty"`
	// name of the field, without regard to case.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern="^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
	Name string `json:"name"`
	// value that the field is compared with.
	// +required
	// +kubebuilder:validation:MaxLength=4096
	Value string `json:"value"`
}

// QueryMatch is a condition on a query parameter.
type QueryMatch struct {
	// type says how value is compared: Exact or RegularExpression (RE2, the whole value).
	// +optional
	// +kubebuilder:default=Exact
	// +kubebuilder:validation:Enum=Exact;RegularExpression
	Type string `json:"type,omitempty"`
	// name of the parameter.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name"`
	// value that the parameter is compared with.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Value string `json:"value"`
}

// EndpointSelector selects endpoints of the target's backends. zone and podSelector say which may be chosen, count and
// percent how many of them are; without those it is all. The same ones stay chosen for as long as they exist.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.count) || !has(self.percent)",message="give count or percent, not both"
type EndpointSelector struct {
	// count is how many pods are chosen, with all their ports; 1 is one sick pod. An endpoint that is no pod counts as one.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Count *int32 `json:"count,omitempty"`
	// percent of the pods that are chosen, rounded up to a whole one. An endpoint that is no pod counts as one.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:ExclusiveMinimum=true
	// +kubebuilder:validation:Maximum=100
	Percent *float64 `json:"percent,omitempty"`
	// zone narrows the choice to endpoints of this zone.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Zone *string `json:"zone,omitempty"`
	// podSelector narrows the choice to pods with these labels, in the namespaces of the targets.
	// +optional
	PodSelector *PodSelector `json:"podSelector,omitempty"`
}

// PodSelector selects pods by labels.
type PodSelector struct {
	// matchLabels are labels that a pod must have, with these values.
	// +required
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=16
	MatchLabels map[string]LabelValue `json:"matchLabels"`
}

// LabelValue is the value of a label.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$`
type LabelValue string

// Preset is a well-known bad network.
//
// +kubebuilder:validation:Enum=GPRS;EDGE;3G;Slow4G;DSL;WiFi;FlakyWiFi;LEOSatellite;GEOSatellite;CrossRegion
type Preset string

// The presets.
const (
	PresetGPRS         Preset = "GPRS"
	PresetEDGE         Preset = "EDGE"
	Preset3G           Preset = "3G"
	PresetSlow4G       Preset = "Slow4G"
	PresetDSL          Preset = "DSL"
	PresetWiFi         Preset = "WiFi"
	PresetFlakyWiFi    Preset = "FlakyWiFi"
	PresetLEOSatellite Preset = "LEOSatellite"
	PresetGEOSatellite Preset = "GEOSatellite"
	PresetCrossRegion  Preset = "CrossRegion"
)

// Sequence says one by one what happens to the first requests or connections; those after its end pass untouched.
type Sequence struct {
	// key tells clients apart, each with a sequence of its own; without it there is one for all.
	// +optional
	// +kubebuilder:default={type: Global}
	Key *Key `json:"key,omitempty"`
	// steps in order.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Steps []SequenceStep `json:"steps"`
}

// SequenceStep says what happens to some requests or connections in a row.
type SequenceStep struct {
	// count of the requests or connections.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	Count int32 `json:"count,omitempty"`
	// toxics that act on them, by name; without any they pass untouched.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Toxics []string `json:"toxics,omitempty"`
}

// Key names something that a request bears.
//
// +kubebuilder:validation:XValidation:rule="(self.type in ['Header', 'Cookie']) == has(self.name)",message="name is that of a Header or Cookie, which need one"
type Key struct {
	// type says what tells requests apart: nothing (Global), the client's address, a header field or a cookie. Connections
	// that are not HTTP have no fields: they count as without a value.
	// +required
	// +kubebuilder:validation:Enum=Global;ClientIP;Header;Cookie
	Type KeyType `json:"type"`
	// name of the header field or cookie.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern="^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
	Name *string `json:"name,omitempty"`
}

// KeyType says where a Key is found.
type KeyType string

// The types of keys.
const (
	KeyGlobal   KeyType = "Global"
	KeyClientIP KeyType = "ClientIP"
	KeyHeader   KeyType = "Header"
	KeyCookie   KeyType = "Cookie"
)

// Guard halts an experiment when the measured traffic becomes too bad. The proxy looks at it all the time and halts within 100 ms of
// what breaks a bound. A request counts when it ends and, for maxLatency, as soon as it has become too slow; it does not count if it
// began before the guard was changed or the experiment was armed again. A connection or session counts with its first answer, with the
// fault that ends it or lets nothing through, and when it ends: once in a window, as the latest of these has it.
//
// +kubebuilder:validation:XValidation:rule="has(self.maxErrorPercent) || has(self.maxLatency)",message="give a bound: maxErrorPercent or maxLatency"
type Guard struct {
	// window is what is looked at: the last so much of time.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('100ms') && duration(self) <= duration('10m')",message="must be from 100ms to 10m"
	Window Duration `json:"window,omitempty"`
	// minRequests is how many requests or connections the window must hold to prove anything; for maxLatency, how many of those whose
	// latency is known.
	// +optional
	// +kubebuilder:default=20
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MinRequests int32 `json:"minRequests,omitempty"`
	// maxErrorPercent bounds the share of what has failed.
	// A request has if its answer has a status of 5xx or, in its head, a gRPC status with which a server says that it has failed
	// (2, 4 and 12 to 15), if there is none, or if it breaks off, unless the client has left. A TCP connection has if no endpoint
	// could be reached, if the endpoint reset it, or if a toxic ended it. A UDP session has if nobody takes its datagrams, or if
	// toxics let none through of those that came in one of the two directions since they began to act; it has not any more when one
	// gets through. While no endpoint is ready, each datagram that would begin a session counts as one. A toxic whose parameters get
	// worse over time, until nothing more gets through, makes no session fail that has got something through before.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:ExclusiveMinimum=true
	// +kubebuilder:validation:Maximum=100
	// +kubebuilder:validation:ExclusiveMaximum=true
	MaxErrorPercent *float64 `json:"maxErrorPercent,omitempty"`
	// maxLatency bounds the latency at the percentile.
	// That of a request is the time to the end of the response or, if its length is not known beforehand, to its head. That of a TCP
	// connection is the time from its beginning to the first bytes that the client gets, without the time for which the client itself
	// has sent nothing after an endpoint was reached; that of a UDP session is the time from its first datagram to the first answer.
	// So it says nothing about how long tunnels, connections and streams of events last, and connections and sessions do not count
	// for it before they have got an answer.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be more than 0"
	MaxLatency *Duration `json:"maxLatency,omitempty"`
	// percentile of latency that maxLatency bounds, 99 or 99.9 for instance.
	// +optional
	// +kubebuilder:default=99
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:ExclusiveMinimum=true
	// +kubebuilder:validation:Maximum=100
	// +kubebuilder:validation:ExclusiveMaximum=true
	Percentile *float64 `json:"percentile,omitempty"`
	// traffic that is measured: all of the target's, or only what got no fault (Uninjected), to see whether others suffer.
	// +optional
	// +kubebuilder:default=All
	// +kubebuilder:validation:Enum=All;Uninjected
	Traffic GuardTraffic `json:"traffic,omitempty"`
}

// GuardTraffic says which traffic a Guard measures.
type GuardTraffic string

// The traffic that a Guard can measure.
const (
	GuardAll        GuardTraffic = "All"
	GuardUninjected GuardTraffic = "Uninjected"
)

// Token says where requests bear a signed, expiring token, and with which key it is signed.
//
// +kubebuilder:validation:XValidation:rule="has(self.header) || has(self.cookie) || has(self.baggage)",message="say where the token is: header, cookie or baggage"
type Token struct {
	// header is the name of the header field that is the token.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern="^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
	Header *string `json:"header,omitempty"`
	// cookie is the name of the cookie that is the token.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern="^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
	Cookie *string `json:"cookie,omitempty"`
	// baggage is the key of the member of the W3C baggage header that is the token.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern="^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
	Baggage *string `json:"baggage,omitempty"`
	// secretRef names the Secret in this namespace that holds the key of the signature (HMAC-SHA256). The controller may
	// read only Secrets that a Role in this namespace lets it read.
	// +required
	SecretRef SecretKeyRef `json:"secretRef"`
}

// SecretKeyRef names a value in a Secret of the same namespace.
type SecretKeyRef struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
	// key in the Secret's data.
	// +optional
	// +kubebuilder:default=key
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key,omitempty"`
}
