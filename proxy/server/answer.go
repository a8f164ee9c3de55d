package server

import (
	"errors"
	"net/http"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/http1"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
)

var notFound = proxy.Answer{Status: 404, Body: "Not Found: no route for this request\n"}

// What the client is told when the proxy cannot get a response. It names no object and no address: that stands in the log.
var failures = map[int]proxy.Answer{
	400: {Status: 400, Body: "Bad Request: the request body is malformed\n"},
	408: {Status: 408, Body: "Request Timeout: the request body did not arrive in time\n"},
	500: {Status: 500, Body: "Internal Server Error: this route is not configured correctly\n"},
	502: {Status: 502, Body: "Bad Gateway: the endpoint did not give a valid response\n"},
	503: {Status: 503, Body: "Service Unavailable: no endpoint is ready\n"},
	504: {Status: 504, Body: "Gateway Timeout: the endpoint did not respond in time\n"},
}

// unreached are failures for the case that there is no connection to any Endpoint. 503 is that this host can open none, whatever it is
// short of.
var unreached = map[int]proxy.Answer{
	502: {Status: 502, Body: "Bad Gateway: no endpoint could be reached\n"},
	503: {Status: 503, Body: "Service Unavailable: the proxy has no room for another connection\n"},
	504: {Status: 504, Body: "Gateway Timeout: no endpoint could be reached in time\n"},
}

// fail answers an Exchange that could not be served.
func (s *Server) fail(x *proxy.Exchange, w proxy.Responder, r *route, err *proxy.Error) {
	x.Failure = err
	var refusal *http1.Refusal
	if err.Side == proxy.Downstream && errors.As(err.Err, &refusal) { // of the content; a bad head has not come here
		s.refused(refusal)
	}
	if err.Status == 0 {
		x.Response.Status = 0
		w.Abort()
		return
	}
	s.answerFrom(x, w, r, nil, answerTo(err))
}

// answerTo returns what the client is told of an error whose Status is not 0.
func answerTo(err *proxy.Error) proxy.Answer {
	told := failures
	if err.Side == proxy.Upstream && err.Op == opConnect {
		told = unreached
	}
	a, ok := told[err.Status]
	if !ok {
		a = proxy.Answer{Status: err.Status}
	}
	return a
}

// answerFrom delivers an Answer through the steps of the Route.
func (s *Server) answerFrom(x *proxy.Exchange, w proxy.Responder, r *route, sh *share, a proxy.Answer) {
	body := prepare(x, &a)
	if sh != nil {
		runResponse(sh.steps, x)
	}
	runResponse(r.steps, x)
	s.deliver(x, w, body)
}

// answer delivers an Answer that belongs to no Route.
func (s *Server) answer(x *proxy.Exchange, w proxy.Responder, a proxy.Answer) {
	s.deliver(x, w, prepare(x, &a))
}

func (s *Server) deliver(x *proxy.Exchange, w proxy.Responder, body *proxy.Text) {
	if err := w.Deliver(x, body); err != nil && x.Failure == nil {
		x.Failure = err
	}
}

var (
	nameContentType = []byte("Content-Type")
	plainText       = []byte("text/plain; charset=utf-8")
)

// prepare makes the Answer the Exchange's response.
func prepare(x *proxy.Exchange, a *proxy.Answer) *proxy.Text {
	text := a.Body
	if text == "" {
		text = http.StatusText(a.Status) + "\n"
	}
	res := &x.Response
	res.Header.Fields = res.Header.Fields[:0]
	res.Status, res.Reason, res.Local = a.Status, nil, true
	res.ContentLength = int64(len(text))
	res.Header.Add(nameContentType, plainText)
	res.Header.Fields = append(res.Header.Fields, a.Header...)
	return &proxy.Text{Rest: text}
}

// refused counts a request that was refused for what the client has sent, or has not sent in time.
func (s *Server) refused(r *http1.Refusal) { s.metrics.Refused(refusalOf(r)) }

func refusalOf(r *http1.Refusal) telemetry.Refusal {
	switch r.Status {
	case 408:
		return telemetry.SlowClient
	case 413, 414, 431:
		return telemetry.TooLarge
	case 405, 417, 501, 505:
		return telemetry.Unsupported
	}
	switch r.Kind {
	case http1.KindHost:
		return telemetry.InvalidHost
	case http1.KindFraming:
		return telemetry.AmbiguousFraming
	case http1.KindBody:
		return telemetry.MalformedBody
	}
	return telemetry.MalformedHead
}
