// Package chaos is the live side of Experiments: it decides which request and which connection gets which fault, holds the time,
// the counts and the bounds of every Experiment, and tells what has come of it.
//
// It injects nothing itself. Who serves a request (proxy/server) or a connection (proxy/stream) asks the Engine and makes the
// faults act: request faults of package fault, and toxics of package toxic, which the Engine puts into a toxic.Slot and takes
// out of it. It knows nothing of Kubernetes: Experiments arrive with a proxy.Snapshot.
//
// Live state is kept under (ID, UID), outside the Snapshot. An Experiment that has changed, or has been away and is back, keeps
// its counts, its halt and its place in the order of ordinals; a toxic whose content is the same keeps its *toxic.Entry, and with
// it what it does on live streams.
//
// # Decisions
//
// Each request that concerns an Experiment's targets is looked at once. A Token and the Matches select it or not; those
// selected are numbered from 0 (the ordinal; OrdinalKey puts the hash of a value in its place, if there is one). Percent and each
// toxic's Toxicity are pure functions of the Experiment's seed, its name, the toxic's name and the ordinal, so that no toxic
// changes what another decides. At Backend every attempt counts as a request: the second attempt of a request decides anew, with
// an ordinal derived from the request's, and takes the next place in a Sequence; what passes by the faults' endpoints takes none.
// Each window of a Schedule and each Revision has the Sequence from its beginning. A dry run has ordinals and budgets of its own, so that
// the real run after it decides the same for the same traffic. MaxPercent is exact, by counting, not by chance, and is applied
// once per request.
//
// # Safety
//
// A fault ends when its window does, on the monotonic clock; when the Experiment leaves the Snapshot, is suspended or halted;
// and when the kill switch is used: SetEnabled, Snapshot.ChaosOff, Config.Disabled. Any of these reaches live streams within
// milliseconds and never waits for a peer. Requests for ACME challenges are never touched.
//
// All methods of the Engine may be called concurrently. A Request belongs to the goroutine that serves it.
package chaos
