package v1alpha1

// AnnotationProxyProtocol turns on the PROXY protocol (HAProxy's, versions 1 and 2), which tells the next in line the
// address of the client.
//
// On a Gateway it names the listeners, separated by commas, at which connections from trusted peers begin with such a
// header, of either version; "*" is all of them. As a header comes before anything that tells one listener from another,
// all listeners of a port follow the one that is named. UDP listeners have no such header.
//
// On a Service it is "v1" or "v2": connections of TCPRoutes to its endpoints begin with a header of this version. Requests
// do not, because those of several clients share a connection.
//
// A value that is not understood gives an Event and has no effect.
const AnnotationProxyProtocol = AnnotationPrefix + "proxy-protocol"
