package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"jitc/ir"
)

// Names of other systems lead to ops that there are, and are none themselves.
func TestOtherNames(t *testing.T) {
	for name, is := range otherNames {
		_, taken := ir.OpByName(name)
		assert.False(t, taken, name)
		op, _, _ := strings.Cut(is, " ")
		_, known := ir.OpByName(op)
		assert.True(t, known, is)
	}
}

func TestNearNames(t *testing.T) {
	names := []string{"scatter", "softmax", "log_softmax", "add", "or"}
	for text, want := range map[string][]string{
		"scater": {"scatter"}, "scattter": {"scatter"}, "soft": {"softmax", "log_softmax"}, "softmx": {"softmax"},
		"add_": {"add"}, "ad": {"add"}, "xyz": nil, "satter": {"scatter"}, "retacs": nil,
	} {
		assert.ElementsMatch(t, want, nearNames(text, names), text)
	}
}
