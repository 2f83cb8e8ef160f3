package trace_test

import (
	"regexp"

	"jitc/ir/call"
)

var lineNumber = regexp.MustCompile(`misuse_test\.go:\d+`)

const (
	size = call.Size
	real = call.Real
)

var (
	intConst   = call.IntConst
	floatConst = call.FloatConst
)
