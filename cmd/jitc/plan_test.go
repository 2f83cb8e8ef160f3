package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"jitc/ir"
	rt "jitc/runtime"
)

// A plan with steps on a device says where each block lies.
func TestThePlanOfDevices(t *testing.T) {
	block := func(name, device string, offset, first, last int) planBlock {
		return planBlock{Name: name, Type: "f32[256]", PlannedBlock: rt.PlannedBlock{
			Region: &ir.Value{Op: ir.OpFused}, Offset: offset, Bytes: 1024, First: first, Last: last, Device: device}}
	}
	r := &planReport{Arena: 1024, Live: 1024, Steps: 4, Intermediates: 3072,
		Devices: []rt.DevicePlan{{Device: "cuda:0", Arena: 2048, Live: 2048}},
		Blocks:  []planBlock{block("a", "cuda:0", 1024, 0, 1), block("b", "cuda:0", 0, 1, 2), block("c", "", 0, 2, 3)}}
	assert.Equal(t, `memory plan, static sizes
  arena       1.00 KiB  holds 3.00 KiB of intermediates; 1.00 KiB live at once
  scratch          0 B  of the kernel that needs most
  cuda:0      2.00 KiB  arena there, with scratch; 2.00 KiB live at once
  parameters       0 B
  results          0 B

step  value  offset  bytes  lives  type      on
   0  a        1024   1024  0-1    f32[256]  cuda:0
   1  b           0   1024  1-2    f32[256]  cuda:0
   2  c           0   1024  2-3    f32[256]  cpu

bytes of the arena by step; a column is one step
value                from         to  0
on cpu
c                     0 B   1.00 KiB    ##
on cuda:0
b                     0 B   1.00 KiB   ##
a                1.00 KiB   2.00 KiB  ##
`, r.text())
}
