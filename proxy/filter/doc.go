// Package filter holds the steps that change a request or a response, one file each.
//
// A Filter is a value that can be printed and compared; its Validate says what is wrong with it in words for the user,
// and whoever makes a Snapshot from user input calls it first: New relies on it. New does all work that does not depend
// on the request, so that a step neither allocates nor locks. A new Filter is one file and one line in All.
package filter
