package admin

import (
	"fmt"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/balancer"
	"github.com/breakwater-gateway/breakwater/proxy/filter"
)

// describeAll prints Filters. Of one that is not of package filter, of which it is not known what may be shown, only the type is.
func describeAll(filters []proxy.Filter) []string {
	var all []string
	for _, f := range filters {
		text := fmt.Sprintf("%T", f)
		if f, ok := f.(filter.Filter); ok {
			text = f.Describe()
		}
		all = append(all, clean(text))
	}
	return all
}

// describeBalancer prints a Balancer: by its name, or as a literal if it is not one of those that the list has.
func describeBalancer(b proxy.Balancer) string {
	policies := balancer.All()
	if b == nil {
		return policies[0].Name
	}
	for _, p := range policies {
		if p.Value == b {
			return p.Name
		}
	}
	return clean(fmt.Sprintf("%T%+v", b, b))
}
