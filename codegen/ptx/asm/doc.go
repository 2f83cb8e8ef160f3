// Package asm writes PTX: the text form of NVIDIA's virtual machine code (PTX ISA
// 7.8 and up, https://docs.nvidia.com/cuda/parallel-thread-execution/).
//
// A Kernel is one entry in the making. Registers are virtual, single values that
// may be written again; an instruction is its PTX spelling and its operands:
//
//	k := asm.NewKernel("scale", 128)
//	x := k.Param(asm.B64, "x")
//	i := k.Op(asm.B32, "mov.u32", "%tid.x")
//	at := k.Op(asm.B64, "mad.wide.u32", i, 4, x)
//	v := k.Op(asm.F32, "ld.global.f32", asm.At(at, 0))
//	k.Emit("st.global.f32", asm.At(at, 0), k.Op(asm.F32, "mul.rn.f32", v, float32(2)))
//
// The package knows no instructions: what is spelled wrongly is found by whoever
// assembles or interprets the text.
package asm
