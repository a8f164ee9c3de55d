// Package router chooses the Route of a request: the compiled, immutable form of all Listeners that share one port.
//
// # Which Route wins
//
//  1. The Listener with the most specific Hostname that covers the request's host: an exact name, then wildcards from
//     long to short, then "". The choice is final: a request is never seen by another Listener.
//  2. In it the most specific Host, by the same order; of two wildcards of one name the one that covers a single label
//     comes first.
//  3. In it the best Route whose whole Match holds: an exact path; then regular expressions, the longest expression
//     first (their place is left to implementations by both APIs; this is what NGINX and most gateways do); then
//     prefixes, the longest first. Of equal paths a Route with a method comes first, then the one with more headers,
//     then with more query parameters, then the one that stands first in Host.Routes (Gateway API, HTTPRouteRule
//     matches; Ingress v1, "multiple matches").
//  4. Only with Listener.Fallthrough, the next less specific Host.
//  5. Listener.Default.
//
// # Cost
//
// A lookup walks the request's host by label and its path by element, with one small step for each and no allocation;
// it does not depend on the number of Hosts or Routes. Two things are compared one after another: the regular
// expressions of one Host, and the Routes that share one path. Only a regular expression on a header that occurs
// several times, or on a query value that is percent-encoded, allocates, and so does the rare expression that cannot be
// anchored (an unclosed "\Q").
package router
