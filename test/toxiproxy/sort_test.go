package toxiproxy

import "slices"

func sorted(words []string) []string { return slices.Sorted(slices.Values(words)) }
