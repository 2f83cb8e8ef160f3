package native_test

import (
	"testing"

	"jitc/executors/conformance"
	"jitc/executors/native"
)

// Every emitter that this processor can run, and the interpreter.
func TestConformance(t *testing.T) {
	for name, f := range features() {
		t.Run(name, func(t *testing.T) {
			conformance.Run(t, native.New(f), conformance.Options{})
		})
	}
}
