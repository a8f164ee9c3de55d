package fault

// Types returns the faults there are, each in its zero value.
func Types() []Fault {
	return []Fault{
		Abort{},              // an answer, or an end, in place of the endpoint's response
		Delay{},              // the request waits
		Headers{},            // fields changed on request and response
		TruncateBody{},       // a response that breaks off
		WrongContentLength{}, // a declared length that is not the content's
		BrokenChunk{},        // a chunk without a size
		CutEvents{},          // a stream of server-sent events that ends
		Throttle{},           // a slow response body
	}
}
