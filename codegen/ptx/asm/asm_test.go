package asm

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheTextOfAModule(t *testing.T) {
	k := NewKernel("scale", 128)
	k.MinCTAs = 2
	x := k.Param(B64, "x")
	n := k.Param(B32, "n")
	i := k.Op(B32, "mov.u32", "%tid.x")
	end := k.NewLabel()
	k.EmitIf(k.Op(Pred, "setp.ge.u32", i, n), "bra", end)
	at := k.Op(B64, "mad.wide.u32", i, 8, x)
	v := k.Regs(F32, 2)
	k.Emit("ld.global.v2.f32", v, At(at, 0))
	k.Set(v[0], "mul.rn.f32", v[0], float32(2))
	k.Emit("st.global.v2.f32", At(at, 0), v)
	k.Place(end)
	assert.Equal(t, 12, k.ParamBytes())
	assert.Equal(t, Param{"n", 8, 4}, k.Params[1])
	m := Module{Version: "7.8", Target: "sm_80", Kernels: []*Kernel{k}}
	assert.Equal(t, `.version 7.8
.target sm_80
.address_size 64

.visible .entry scale(
	.param .b64 x,
	.param .b32 n
)
.maxntid 128, 1, 1
.minnctapersm 2
{
	.reg .pred %p<2>;
	.reg .b32 %r<3>;
	.reg .f32 %f<3>;
	.reg .b64 %d<3>;
	ld.param.b64 %d1, [x];
	ld.param.b32 %r1, [n];
	mov.u32 %r2, %tid.x;
	setp.ge.u32 %p1, %r2, %r1;
	@%p1 bra $L1;
	mad.wide.u32 %d2, %r2, 8, %d1;
	ld.global.v2.f32 {%f1, %f2}, [%d2];
	mul.rn.f32 %f1, %f1, 0f40000000;
	st.global.v2.f32 [%d2], {%f1, %f2};
$L1:
	ret;
}
`, m.String())
}

// Parameters lie at multiples of their size, as the driver expects them.
func TestParametersAreAligned(t *testing.T) {
	k := NewKernel("f", 32)
	k.ParamSpace(B32, "a")
	k.ParamSpace(B64, "b")
	k.ParamBlock("c", 128, 64)
	k.ParamSpace(B32, "d")
	assert.Equal(t, []Param{{"a", 0, 4}, {"b", 8, 8}, {"c", 64, 128}, {"d", 192, 4}}, k.Params)
	assert.Equal(t, 196, k.ParamBytes())
}

func TestTheHeadComesFirst(t *testing.T) {
	k := NewKernel("f", 32)
	a := k.Op(B32, "mov.u32", "%tid.x")
	var n Reg
	k.InHead(func() { n = k.Param(B32, "n") })
	k.Set(a, "add.u32", a, n)
	m := Module{Version: "7.8", Target: "sm_80", Kernels: []*Kernel{k}}
	assert.Contains(t, m.String(), "\tld.param.b32 %r2, [n];\n\tmov.u32 %r1, %tid.x;\n\tadd.u32 %r1, %r1, %r2;\n\tret;")
}
