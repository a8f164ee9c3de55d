package v1alpha1

// Abort answers in the place of the endpoint, or ends the connection.
//
// +kubebuilder:validation:XValidation:rule="(has(self.status) ? 1 : 0) + (has(self.grpcStatus) ? 1 : 0) + (has(self.end) ? 1 : 0) == 1",message="give exactly one of status, grpcStatus and end"
// +kubebuilder:validation:XValidation:rule="has(self.status) || !has(self.body) && !has(self.headers)",message="body and headers go with a status only"
// +kubebuilder:validation:XValidation:rule="has(self.grpcStatus) || !has(self.grpcMessage)",message="grpcMessage goes with a grpcStatus only"
// +kubebuilder:validation:XValidation:rule="!has(self.body) || !(self.status in [204, 205, 304])",message="answers with status 204, 205 and 304 have no body"
type Abort struct {
	// status of the answer.
	// +optional
	// +kubebuilder:validation:Minimum=200
	// +kubebuilder:validation:Maximum=599
	Status *int32 `json:"status,omitempty"`
	// headers of the answer. Without a Content-Type among them a body is text/plain.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Headers []Header `json:"headers,omitempty"`
	// body of the answer.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	Body *string `json:"body,omitempty"`
	// grpcStatus is the status of a gRPC answer: 14 is UNAVAILABLE.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=16
	GRPCStatus *int32 `json:"grpcStatus,omitempty"`
	// grpcMessage explains the grpcStatus.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	GRPCMessage *string `json:"grpcMessage,omitempty"`
	// end ends the connection without an answer: Close in an orderly way, Reset by TCP RST.
	// +optional
	// +kubebuilder:validation:Enum=Close;Reset
	End *ConnectionEnd `json:"end,omitempty"`
}

// ConnectionEnd says how a connection ends.
type ConnectionEnd string

// The ends of connections. ConnectionEndComplete is the proper end of a response.
const (
	ConnectionEndComplete ConnectionEnd = "Complete"
	ConnectionEndClose    ConnectionEnd = "Close"
	ConnectionEndReset    ConnectionEnd = "Reset"
)

// Header is a header field.
type Header struct {
	// name of the field. Fields that frame messages or belong to one connection cannot be changed.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern="^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
	// +kubebuilder:validation:XValidation:rule="!(self.lowerAscii() in ['connection', 'content-length', 'expect', 'host', 'http2-settings', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'])",message="this field frames messages or belongs to one connection: it cannot be changed"
	Name string `json:"name"`
	// value of the field.
	// +required
	// +kubebuilder:validation:MaxLength=4096
	// +kubebuilder:validation:Pattern=`^[^\x00-\x08\x0a-\x1f\x7f]*$`
	Value string `json:"value"`
}

// Delay makes the request wait before it goes on.
type Delay struct {
	// latency is the mean delay.
	// +optional
	// +kubebuilder:default="0s"
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('1h')",message="must be at most 1h"
	Latency Duration `json:"latency,omitempty"`
	// jitter is how far delays vary to either side; every value is as likely.
	// +optional
	// +kubebuilder:default="0s"
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('1h')",message="must be at most 1h"
	Jitter Duration `json:"jitter,omitempty"`
}

// Headers changes header fields.
//
// +kubebuilder:validation:MinProperties=1
type Headers struct {
	// request is what is changed on the request.
	// +optional
	Request *HeaderChange `json:"request,omitempty"`
	// response is what is changed on the response.
	// +optional
	Response *HeaderChange `json:"response,omitempty"`
}

// HeaderChange changes header fields.
//
// +kubebuilder:validation:MinProperties=1
type HeaderChange struct {
	// set gives fields a value in place of any they have.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Set []Header `json:"set,omitempty"`
	// add adds fields to those there are.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Add []Header `json:"add,omitempty"`
	// remove removes fields, by name.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="!self.exists(n, n.lowerAscii() in ['connection', 'content-length', 'expect', 'host', 'http2-settings', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'])",message="a field among these frames messages or belongs to one connection: it cannot be changed"
	// +kubebuilder:validation:items:Pattern="^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
	Remove []string `json:"remove,omitempty"`
}

// TruncateBody breaks the response's body off.
type TruncateBody struct {
	// bytes of content that pass.
	// +required
	// +kubebuilder:validation:XValidation:rule="type(self) != int || self >= 0",message="must be at least 0"
	Bytes Bytes `json:"bytes"`
	// reset ends the connection with a reset (TCP RST); otherwise it ends in an orderly way.
	// +optional
	Reset bool `json:"reset,omitempty"`
}

// WrongContentLength declares another length than the response's body has.
//
// +kubebuilder:validation:XValidation:rule="self.by != 0",message="by must not be 0"
type WrongContentLength struct {
	// by how many bytes the declared length differs.
	// +required
	// +kubebuilder:validation:Minimum=-1048576
	// +kubebuilder:validation:Maximum=1048576
	By int32 `json:"by"`
}

// BrokenChunk damages the framing of a chunked response.
type BrokenChunk struct {
	// bytes of content that come before.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:XValidation:rule="type(self) != int || self >= 0",message="must be at least 0"
	Bytes *Bytes `json:"bytes,omitempty"`
}

// CutEvents ends a stream of server-sent events.
type CutEvents struct {
	// events that pass.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000000
	Events int32 `json:"events"`
	// end is how the stream ends: Complete gives the response its proper end, Close and Reset break it off.
	// +optional
	// +kubebuilder:default=Close
	// +kubebuilder:validation:Enum=Complete;Close;Reset
	End ConnectionEnd `json:"end,omitempty"`
}

// Throttle slows the response's body down.
type Throttle struct {
	// rate in bytes per second, 10k for instance; while it is below 1 nothing passes.
	// +required
	// +kubebuilder:validation:XValidation:rule="type(self) != int || self >= 0",message="must be at least 0"
	Rate Bytes `json:"rate"`
}
