package conformance_test
import ("testing";"jitc/executors/conformance";"jitc/executors/native";"jitc/codegen/x64/asm")
func TestZZ(t *testing.T){ conformance.Run(t, native.New(asm.Detect()), conformance.Options{}) }
func TestZI(t *testing.T){ conformance.Run(t, native.New(asm.Features{}), conformance.Options{}) }
