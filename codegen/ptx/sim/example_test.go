package sim_test

import (
	"encoding/binary"
	"fmt"

	"jitc/codegen/ptx/sim"
)

// Three threads double three words; a fourth one has no word.
func Example() {
	m, err := sim.Parse(`.version 7.8
.target sm_80
.address_size 64
.visible .entry double(.param .b64 x)
.maxntid 32, 1, 1
{
	.reg .b32 %r<3>;
	.reg .b64 %d<3>;
	ld.param.b64 %d1, [x];
	mov.u32 %r1, %tid.x;
	mad.wide.u32 %d2, %r1, 4, %d1;
	ld.global.b32 %r2, [%d2];
	add.u32 %r2, %r2, %r2;
	st.global.b32 [%d2], %r2;
	ret;
}
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	const x = 0x7f0000000000
	mem := sim.NewMemory()
	fmt.Println(mem.Map(x, 12), mem.Write(x, []byte{1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0}))
	launch := sim.Launch{Entry: "double", Grid: [3]int{1, 1, 1}, Block: [3]int{3, 1, 1}, Params: binary.LittleEndian.AppendUint64(nil, x)}
	stats, err := m.Run(mem, launch, sim.Options{})
	fmt.Println(stats.Insts, err)
	out := make([]byte, 12)
	fmt.Println(mem.Read(x, out), out)

	launch.Block[0] = 4
	_, err = m.Run(mem, launch, sim.Options{})
	fmt.Println(err)
	// Output:
	// <nil> <nil>
	// 21 <nil>
	// <nil> [2 0 0 0 4 0 0 0 6 0 0 0]
	// sim: double, line 12, block (0,0,0), thread 3: out of bounds: 4 bytes at 0x7f000000000c: the region before is 12 bytes at 0x7f0000000000 (offset 12)
	// 	ld.global.b32 %r2, [%d2]
}
