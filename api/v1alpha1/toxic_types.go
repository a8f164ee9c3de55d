package v1alpha1

// Toxic is one fault: its type, and the parameters in the member that is called like it. Toxics of bytes act on connections
// (TCP, and those that carry HTTP), toxics of datagrams on UDP sessions, faults of HTTP on requests and responses.
//
// +kubebuilder:validation:XValidation:rule="self.type == 'Latency' ? has(self.latency) : self.type == 'Bandwidth' ? has(self.bandwidth) : self.type == 'SlowClose' ? has(self.slowClose) : self.type == 'Timeout' ? has(self.timeout) : self.type == 'ResetPeer' ? has(self.resetPeer) : self.type == 'Slicer' ? has(self.slicer) : self.type == 'LimitData' ? has(self.limitData) : self.type == 'PacketLoss' ? has(self.packetLoss) : self.type == 'Stall' ? has(self.stall) : self.type == 'Corrupt' ? has(self.corrupt) : true",message="the member called like the type must be set"
// +kubebuilder:validation:XValidation:rule="self.type == 'UDPDrop' ? has(self.udpDrop) : self.type == 'UDPDuplicate' ? has(self.udpDuplicate) : self.type == 'UDPReorder' ? has(self.udpReorder) : self.type == 'UDPDelay' ? has(self.udpDelay) : self.type == 'UDPRate' ? has(self.udpRate) : self.type == 'UDPTruncate' ? has(self.udpTruncate) : true",message="the member called like the type must be set"
// +kubebuilder:validation:XValidation:rule="self.type == 'Abort' ? has(self.abort) : self.type == 'Delay' ? has(self.delay) : self.type == 'Headers' ? has(self.headers) : self.type == 'TruncateBody' ? has(self.truncateBody) : self.type == 'WrongContentLength' ? has(self.wrongContentLength) : self.type == 'BrokenChunk' ? has(self.brokenChunk) : self.type == 'CutEvents' ? has(self.cutEvents) : self.type == 'Throttle' ? has(self.throttle) : true",message="the member called like the type must be set"
// +kubebuilder:validation:XValidation:rule="(has(self.latency) ? 1 : 0) + (has(self.bandwidth) ? 1 : 0) + (has(self.slowClose) ? 1 : 0) + (has(self.timeout) ? 1 : 0) + (has(self.resetPeer) ? 1 : 0) + (has(self.slicer) ? 1 : 0) + (has(self.limitData) ? 1 : 0) + (has(self.packetLoss) ? 1 : 0) + (has(self.stall) ? 1 : 0) + (has(self.corrupt) ? 1 : 0) + (has(self.udpDrop) ? 1 : 0) + (has(self.udpDuplicate) ? 1 : 0) + (has(self.udpReorder) ? 1 : 0) + (has(self.udpDelay) ? 1 : 0) + (has(self.udpRate) ? 1 : 0) + (has(self.udpTruncate) ? 1 : 0) + (has(self.abort) ? 1 : 0) + (has(self.delay) ? 1 : 0) + (has(self.headers) ? 1 : 0) + (has(self.truncateBody) ? 1 : 0) + (has(self.wrongContentLength) ? 1 : 0) + (has(self.brokenChunk) ? 1 : 0) + (has(self.cutEvents) ? 1 : 0) + (has(self.throttle) ? 1 : 0) <= (self.type in ['Down', 'Noop'] ? 0 : 1) && (!has(self.down) || self.type == 'Down')",message="only the member called like the type may be set"
// +kubebuilder:validation:XValidation:rule="!has(self.shapes) || self.shapes.all(s, s.parameter == 'percent' ? true : self.type in ['Latency', 'UDPDelay'] ? s.parameter in ['latency', 'jitter', 'correlation'] : self.type in ['Delay'] ? s.parameter in ['latency', 'jitter'] : self.type in ['Bandwidth', 'Throttle'] ? s.parameter in ['rate'] : self.type in ['SlowClose'] ? s.parameter in ['delay'] : self.type in ['Timeout', 'ResetPeer'] ? s.parameter in ['timeout'] : self.type in ['Slicer'] ? s.parameter in ['averageSize', 'sizeVariation', 'delay'] : self.type in ['LimitData', 'UDPTruncate', 'TruncateBody', 'BrokenChunk'] ? s.parameter in ['bytes'] : self.type in ['PacketLoss'] ? s.parameter in ['loss', 'rtt', 'mss', 'rtoMin', 'burst', 'lossInBurst', 'lossBetweenBursts'] : self.type in ['UDPDrop'] ? s.parameter in ['loss', 'burst', 'lossInBurst', 'lossBetweenBursts'] : self.type in ['Stall'] ? s.parameter in ['duration', 'at', 'every', 'bytes', 'everyBytes'] : self.type in ['Corrupt'] ? s.parameter in ['share'] : self.type in ['UDPDuplicate'] ? s.parameter in ['share', 'delay', 'copies'] : self.type in ['UDPReorder'] ? s.parameter in ['share', 'delay', 'packets'] : self.type in ['UDPRate'] ? s.parameter in ['rate', 'queue'] : self.type in ['CutEvents'] ? s.parameter in ['events'] : self.type in ['WrongContentLength'] ? s.parameter in ['by'] : false)",message="this type of toxic has no such parameter, or none that can vary over time"
// +kubebuilder:validation:XValidation:rule="!has(self.shapes) || !self.shapes.exists(s, s.parameter == 'jitter') || (!has(self.latency) || self.latency.distribution != 'Empirical') && (!has(self.udpDelay) || self.udpDelay.distribution != 'Empirical')",message="jitter has no part in the distribution Empirical: leave it out"
type Toxic struct {
	// name by which a sequence, the report and the fault log know the toxic; without it, its type.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`
	Name *string `json:"name,omitempty"`

	// type of the toxic.
	// +required
	// +unionDiscriminator
	Type ToxicType `json:"type"`

	// direction in which the bytes or datagrams move: Downstream is from the endpoint to the client, Upstream from the client to
	// the endpoint. Faults of HTTP know by themselves what they act on.
	// +optional
	// +kubebuilder:default=Downstream
	// +kubebuilder:validation:Enum=Downstream;Upstream
	Direction Direction `json:"direction,omitempty"`

	// percent of the selected requests or connections that get this toxic: Toxiproxy's toxicity, in percent. Each is decided once; a
	// shape is looked at then.
	// +optional
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Percent *float64 `json:"percent,omitempty"`

	// shapes let parameters, and percent, vary over time, counted from the start of the experiment. What counts is the number at the
	// time when it is needed: for each packet, datagram or run of bytes, or when a response comes; percent when it is decided; rtt,
	// mss and rtoMin when the connection begins. Numbers of packets, copies, events and bytes are rounded.
	// +optional
	// +listType=map
	// +listMapKey=parameter
	// +kubebuilder:validation:MaxItems=8
	Shapes []Shape `json:"shapes,omitempty"`

	// latency delays bytes.
	// +optional
	Latency *Latency `json:"latency,omitempty"`
	// bandwidth limits how many bytes pass in a time.
	// +optional
	Bandwidth *Bandwidth `json:"bandwidth,omitempty"`
	// slowClose delays the end of a direction.
	// +optional
	SlowClose *SlowClose `json:"slowClose,omitempty"`
	// timeout withholds all bytes and closes the connection.
	// +optional
	Timeout *Timeout `json:"timeout,omitempty"`
	// resetPeer resets the connection (TCP RST).
	// +optional
	ResetPeer *ResetPeer `json:"resetPeer,omitempty"`
	// slicer cuts the stream into small pieces.
	// +optional
	Slicer *Slicer `json:"slicer,omitempty"`
	// limitData closes the connection after a number of bytes.
	// +optional
	LimitData *LimitData `json:"limitData,omitempty"`
	// down closes the connection at once, and every new one.
	// +optional
	Down *Down `json:"down,omitempty"`
	// packetLoss delays and slows as TCP does when packets are lost. No byte is lost.
	// +optional
	PacketLoss *PacketLoss `json:"packetLoss,omitempty"`
	// stall stops the stream for a while, keeping the connection open.
	// +optional
	Stall *Stall `json:"stall,omitempty"`
	// corrupt flips bits, in the bytes of connections or in datagrams.
	// +optional
	Corrupt *Corrupt `json:"corrupt,omitempty"`

	// udpDrop loses datagrams.
	// +optional
	UDPDrop *UDPDrop `json:"udpDrop,omitempty"`
	// udpDuplicate sends datagrams twice.
	// +optional
	UDPDuplicate *UDPDuplicate `json:"udpDuplicate,omitempty"`
	// udpReorder lets later datagrams overtake.
	// +optional
	UDPReorder *UDPReorder `json:"udpReorder,omitempty"`
	// udpDelay delays datagrams.
	// +optional
	UDPDelay *UDPDelay `json:"udpDelay,omitempty"`
	// udpRate limits how many bytes pass in a time, and drops what does not fit the queue.
	// +optional
	UDPRate *UDPRate `json:"udpRate,omitempty"`
	// udpTruncate cuts datagrams short.
	// +optional
	UDPTruncate *UDPTruncate `json:"udpTruncate,omitempty"`

	// abort answers in the place of the endpoint, or ends the connection.
	// +optional
	Abort *Abort `json:"abort,omitempty"`
	// delay makes the request wait before it goes on.
	// +optional
	Delay *Delay `json:"delay,omitempty"`
	// headers changes header fields of the request or the response.
	// +optional
	Headers *Headers `json:"headers,omitempty"`
	// truncateBody breaks the response's body off.
	// +optional
	TruncateBody *TruncateBody `json:"truncateBody,omitempty"`
	// wrongContentLength declares another length than the response's body has.
	// +optional
	WrongContentLength *WrongContentLength `json:"wrongContentLength,omitempty"`
	// brokenChunk damages the framing of a chunked response.
	// +optional
	BrokenChunk *BrokenChunk `json:"brokenChunk,omitempty"`
	// cutEvents ends a stream of server-sent events.
	// +optional
	CutEvents *CutEvents `json:"cutEvents,omitempty"`
	// throttle slows the response's body down.
	// +optional
	Throttle *Throttle `json:"throttle,omitempty"`
}

// ToxicType says what a Toxic does.
//
// +kubebuilder:validation:Enum=Latency;Bandwidth;SlowClose;Timeout;ResetPeer;Slicer;LimitData;Down;Noop;PacketLoss;Stall;Corrupt;UDPDrop;UDPDuplicate;UDPReorder;UDPDelay;UDPRate;UDPTruncate;Abort;Delay;Headers;TruncateBody;WrongContentLength;BrokenChunk;CutEvents;Throttle
type ToxicType string

// The types of toxics.
const (
	ToxicLatency    ToxicType = "Latency"
	ToxicBandwidth  ToxicType = "Bandwidth"
	ToxicSlowClose  ToxicType = "SlowClose"
	ToxicTimeout    ToxicType = "Timeout"
	ToxicResetPeer  ToxicType = "ResetPeer"
	ToxicSlicer     ToxicType = "Slicer"
	ToxicLimitData  ToxicType = "LimitData"
	ToxicDown       ToxicType = "Down"
	ToxicNoop       ToxicType = "Noop"
	ToxicPacketLoss ToxicType = "PacketLoss"
	ToxicStall      ToxicType = "Stall"
	ToxicCorrupt    ToxicType = "Corrupt"

	ToxicUDPDrop      ToxicType = "UDPDrop"
	ToxicUDPDuplicate ToxicType = "UDPDuplicate"
	ToxicUDPReorder   ToxicType = "UDPReorder"
	ToxicUDPDelay     ToxicType = "UDPDelay"
	ToxicUDPRate      ToxicType = "UDPRate"
	ToxicUDPTruncate  ToxicType = "UDPTruncate"

	ToxicAbort              ToxicType = "Abort"
	ToxicDelay              ToxicType = "Delay"
	ToxicHeaders            ToxicType = "Headers"
	ToxicTruncateBody       ToxicType = "TruncateBody"
	ToxicWrongContentLength ToxicType = "WrongContentLength"
	ToxicBrokenChunk        ToxicType = "BrokenChunk"
	ToxicCutEvents          ToxicType = "CutEvents"
	ToxicThrottle           ToxicType = "Throttle"
)

// Direction is the direction in which bytes move.
type Direction string

const (
	// DirectionDownstream is from the endpoint to the client.
	DirectionDownstream Direction = "Downstream"
	// DirectionUpstream is from the client to the endpoint.
	DirectionUpstream Direction = "Upstream"
)

// Shape lets one parameter vary over time, between what its field says and another value.
//
// +kubebuilder:validation:XValidation:rule="self.parameter in ['latency', 'jitter', 'delay', 'timeout', 'duration', 'at', 'every', 'rtt', 'rtoMin'] ? has(self.to.duration) : self.parameter in ['percent', 'loss', 'share', 'correlation', 'lossInBurst', 'lossBetweenBursts'] ? has(self.to.percent) : self.parameter in ['burst', 'packets', 'copies', 'events', 'by'] ? has(self.to.number) : has(self.to.bytes)",message="to must be of the parameter's kind: duration for latency, jitter, delay, timeout, duration, at, every, rtt and rtoMin; percent for percent, loss, share, correlation, lossInBurst and lossBetweenBursts; number for burst, packets, copies, events and by; bytes for all others"
type Shape struct {
	// parameter is the name of the field that varies.
	// +required
	// +kubebuilder:validation:Enum=percent;latency;jitter;delay;timeout;duration;at;every;rate;loss;share;bytes;everyBytes;averageSize;sizeVariation;queue;correlation;rtt;mss;rtoMin;burst;lossInBurst;lossBetweenBursts;packets;copies;events;by
	Parameter string `json:"parameter"`
	// type of the variation: Ramp goes to the other value within the period and stays there, Step jumps there after the period,
	// Sine swings there and back once per period, Square is at the other value for the second half of each period.
	// +required
	// +kubebuilder:validation:Enum=Ramp;Step;Sine;Square
	Type ShapeType `json:"type"`
	// to is the other value.
	// +required
	To ShapeValue `json:"to"`
	// period of the variation.
	// +required
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be more than 0"
	Period Duration `json:"period"`
}

// ShapeValue is a value of a parameter, in the member for its kind.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:MaxProperties=1
type ShapeValue struct {
	// duration is a length of time.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('1h')",message="must be at most 1h"
	Duration *Duration `json:"duration,omitempty"`
	// percent is a percentage.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Percent *float64 `json:"percent,omitempty"`
	// bytes is a number of bytes, or of bytes per second.
	// +optional
	Bytes *Bytes `json:"bytes,omitempty"`
	// number is one of packets, copies or events, or how many bytes more or fewer. The parameter is rounded, but for burst.
	// +optional
	// +kubebuilder:validation:Minimum=-1048576
	// +kubebuilder:validation:Maximum=1000000000
	Number *float64 `json:"number,omitempty"`
}

// ShapeType says how a parameter varies.
type ShapeType string

// The types of shapes.
const (
	ShapeRamp   ShapeType = "Ramp"
	ShapeStep   ShapeType = "Step"
	ShapeSine   ShapeType = "Sine"
	ShapeSquare ShapeType = "Square"
)

// Latency delays bytes; their order stays.
//
// +kubebuilder:validation:XValidation:rule="(self.distribution == 'Empirical') == has(self.empirical)",message="the distribution Empirical needs empirical, which is for it only"
// +kubebuilder:validation:XValidation:rule="self.distribution != 'Empirical' || duration(self.jitter) == duration('0s')",message="jitter has no part in the distribution Empirical: leave it out"
type Latency struct {
	Delays `json:",inline"`
}

// Delays says how long delays are.
type Delays struct {
	// latency is the mean delay.
	// +optional
	// +kubebuilder:default="0s"
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('1h')",message="must be at most 1h"
	Latency Duration `json:"latency,omitempty"`
	// jitter is how far delays vary to either side: the bound of Uniform, the standard deviation of Normal and
	// Pareto. Empirical has none.
	// +optional
	// +kubebuilder:default="0s"
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('1h')",message="must be at most 1h"
	Jitter Duration `json:"jitter,omitempty"`
	// correlation of each delay with the one before, in percent.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +kubebuilder:validation:ExclusiveMaximum=true
	Correlation *float64 `json:"correlation,omitempty"`
	// distribution of the delays.
	// +optional
	// +kubebuilder:default=Uniform
	// +kubebuilder:validation:Enum=Uniform;Normal;Pareto;Empirical
	Distribution Distribution `json:"distribution,omitempty"`
	// empirical gives points of a measured cumulative distribution, which are added to latency: 50 percent within 20ms, for instance.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Empirical []EmpiricalPoint `json:"empirical,omitempty"`
}

// Distribution says how random delays are spread.
type Distribution string

// The distributions.
const (
	DistributionUniform   Distribution = "Uniform"
	DistributionNormal    Distribution = "Normal"
	DistributionPareto    Distribution = "Pareto"
	DistributionEmpirical Distribution = "Empirical"
)

// EmpiricalPoint is a point of a cumulative distribution.
type EmpiricalPoint struct {
	// percent of the delays that are not longer than within; rising, and 100 at the last point.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Percent float64 `json:"percent"`
	// within is a delay.
	// +required
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('1h')",message="must be at most 1h"
	Within Duration `json:"within"`
}

// Bandwidth limits how many bytes pass in a time.
type Bandwidth struct {
	// rate in bytes per second, 100k for instance; 0 stops everything.
	// +required
	// +kubebuilder:validation:XValidation:rule="type(self) != int || self >= 0",message="must be at least 0"
	Rate Bytes `json:"rate"`
	// scope says who shares the rate: each connection has its own, or all connections of the target share one.
	// +optional
	// +kubebuilder:default=Connection
	// +kubebuilder:validation:Enum=Connection;Target
	Scope Scope `json:"scope,omitempty"`
}

// Scope says who shares something.
type Scope string

// The scopes.
const (
	ScopeConnection Scope = "Connection"
	ScopeTarget     Scope = "Target"
)

// SlowClose delays the end of a direction.
type SlowClose struct {
	// delay of the end. Who knows the length of a message does not wait for it: at Backend it shows with responses of HTTP only if
	// they last until their connection ends.
	// +required
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('1h')",message="must be at most 1h"
	Delay Duration `json:"delay"`
}

// Timeout withholds all bytes and closes the connection.
type Timeout struct {
	// timeout after which the connection is closed; with 0 it stays open, without a byte, until the toxic goes.
	// +optional
	// +kubebuilder:default="0s"
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('1h')",message="must be at most 1h"
	Timeout Duration `json:"timeout,omitempty"`
}

// ResetPeer resets the connection.
type ResetPeer struct {
	// timeout after which it is reset.
	// +optional
	// +kubebuilder:default="0s"
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('1h')",message="must be at most 1h"
	Timeout Duration `json:"timeout,omitempty"`
}

// Slicer cuts the stream into small pieces.
type Slicer struct {
	// averageSize of a piece in bytes.
	// +required
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 : self != '0'",message="must be at least 1"
	AverageSize Bytes `json:"averageSize"`
	// sizeVariation is how many bytes a piece may be larger or smaller.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:XValidation:rule="type(self) != int || self >= 0",message="must be at least 0"
	SizeVariation *Bytes `json:"sizeVariation,omitempty"`
	// delay after each piece.
	// +optional
	// +kubebuilder:default="0s"
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('1h')",message="must be at most 1h"
	Delay Duration `json:"delay,omitempty"`
}

// LimitData closes the connection after a number of bytes.
type LimitData struct {
	// bytes that pass.
	// +required
	// +kubebuilder:validation:XValidation:rule="type(self) != int || self >= 0",message="must be at least 0"
	Bytes Bytes `json:"bytes"`
}

// Down closes the connection at once, and every new one.
type Down struct {
	// reset ends connections with a reset (TCP RST); otherwise they end in an orderly way.
	// +optional
	Reset bool `json:"reset,omitempty"`
}

// Stall stops the stream for a while, keeping the connection open: once, at a time or after some bytes, or again and again.
type Stall struct {
	// duration of a stall; with 0 it lasts until the toxic goes.
	// +optional
	// +kubebuilder:default="0s"
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('1h')",message="must be at most 1h"
	Duration Duration `json:"duration,omitempty"`
	// at is when the first stall begins, counted from the start of the connection.
	// +optional
	// +kubebuilder:default="0s"
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('1h')",message="must be at most 1h"
	At Duration `json:"at,omitempty"`
	// every is the time from the beginning of a stall to that of the next; with 0 time starts one stall only.
	// +optional
	// +kubebuilder:default="0s"
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('1h')",message="must be at most 1h"
	Every Duration `json:"every,omitempty"`
	// bytes that pass before the first stall.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:XValidation:rule="type(self) != int || self >= 0",message="must be at least 0"
	Bytes *Bytes `json:"bytes,omitempty"`
	// everyBytes is how many bytes pass between two stalls; with 0 bytes start one stall only.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:XValidation:rule="type(self) != int || self >= 0",message="must be at least 0"
	EveryBytes *Bytes `json:"everyBytes,omitempty"`
}

// PacketLoss delays and slows as TCP does when packets are lost.
//
// +kubebuilder:validation:XValidation:rule="has(self.burst) || !has(self.lossInBurst) && !has(self.lossBetweenBursts)",message="lossInBurst and lossBetweenBursts go with a burst only"
type PacketLoss struct {
	Loss `json:",inline"`
	// rtt is the round trip time of the path that is emulated. A shape of rtt, mss or rtoMin is looked at when the connection
	// begins: they stay as they are for its life.
	// +required
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s') && duration(self) <= duration('1m')",message="must be more than 0, up to 1m"
	RTT Duration `json:"rtt"`
	// mss is the payload of a packet in bytes.
	// +optional
	// +kubebuilder:default=1448
	// +kubebuilder:validation:Minimum=88
	// +kubebuilder:validation:Maximum=65535
	MSS int32 `json:"mss,omitempty"`
	// rtoMin is what a retransmission timeout is above rtt at least.
	// +optional
	// +kubebuilder:default="200ms"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1ms') && duration(self) <= duration('1m')",message="must be from 1ms to 1m"
	RTOMin Duration `json:"rtoMin,omitempty"`
	// congestion is the congestion control that is emulated.
	// +optional
	// +kubebuilder:default=Cubic
	// +kubebuilder:validation:Enum=Reno;Cubic;None
	Congestion Congestion `json:"congestion,omitempty"`
	// steady replaces the window by its mean: smoother, and cheaper. That depends on loss alone: burst, lossInBurst and
	// lossBetweenBursts then count for the opening of connections only.
	// +optional
	Steady bool `json:"steady,omitempty"`
}

// Loss says which packets are lost.
type Loss struct {
	// loss is the percentage of packets that is lost in the long run.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Loss float64 `json:"loss"`
	// burst is the mean number of packets in a row for which losses come together (Gilbert-Elliott); without it each packet is
	// lost or not by itself.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	Burst *float64 `json:"burst,omitempty"`
	// lossInBurst is the percentage lost in a burst, at least loss; without it all.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:ExclusiveMinimum=true
	// +kubebuilder:validation:Maximum=100
	LossInBurst *float64 `json:"lossInBurst,omitempty"`
	// lossBetweenBursts is the percentage lost between bursts, at most loss; without it none.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	LossBetweenBursts *float64 `json:"lossBetweenBursts,omitempty"`
}

// Congestion is a congestion control.
type Congestion string

// The congestion controls.
const (
	CongestionReno  Congestion = "Reno"
	CongestionCubic Congestion = "Cubic"
	CongestionNone  Congestion = "None"
)

// Corrupt flips bits.
type Corrupt struct {
	// share is the percentage of bytes of which a bit is flipped.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Share float64 `json:"share"`
}
