package ptx

import (
	"fmt"

	"jitc/codegen"
	"jitc/codegen/ptx/asm"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// product compiles a matrix product: by the templates, or, for types that they do
// not take, with a thread per element.
func (c *compiler) product(step int, g *codegen.Gemm) (binder, error) {
	if err := c.check(g.Epilogue); err != nil {
		return nil, err
	}
	for _, o := range []codegen.Operand{g.A, g.B} {
		if t := c.kernel.Bufs[o.Buf].DType; memoryRows[t].load == nil {
			return nil, &Unsupported{"matrix operands of type " + t.String()}
		}
	}
	if p := c.problem(g); p.Supported() {
		return c.matmul(step, g, p), nil
	}
	return c.points(step, "", g.Epilogue, g), nil
}

// sum emits the sum over k of a product's element: a thread per element, for the
// types and layouts that no template takes.
func (p *pointCode) sum(b *body) {
	e, g := p.e, p.gemm
	acc, zero := asm.Reg{}, kindOf(g.DType)
	acc = e.Op(zero.class(), "mov."+zero.bits(), e.constant(zero, 0))
	at := [2]asm.Reg{p.operand(b, 0, g.A), p.operand(b, 1, g.B)}
	by := [2]asm.Reg{
		p.operandStride("A", g.A.Buf, g.A.Col, func(o *codegen.BoundGemm) int64 { return o.A.Col }),
		p.operandStride("B", g.B.Buf, g.B.Row, func(o *codegen.BoundGemm) int64 { return o.B.Row }),
	}
	left := e.Op(asm.B64, "mov.b64", e.param(asm.B64, "k "+g.K.Key(), func(f *frame) int64 { return f.gemm.K }))
	head, done := e.NewLabel(), e.NewLabel()
	e.Place(head)
	e.EmitIf(e.Op(asm.Pred, "setp.le.s64", left, 0), "bra", done)
	x := loadOne(e.Kernel, e.c.kernel.Bufs[g.A.Buf].DType, place{space: "global", at: asm.At(at[0], 0)})
	y := loadOne(e.Kernel, e.c.kernel.Bufs[g.B.Buf].DType, place{space: "global", at: asm.At(at[1], 0)})
	e.Set(acc, multiplyAdd[g.DType], x, y, acc)
	for i := range at {
		e.Set(at[i], "add.s64", at[i], by[i])
	}
	e.Set(left, "sub.s64", left, 1)
	e.Emit("bra", head)
	e.Place(done)
	b.tile = func(*codegen.Inst) []asm.Reg { return []asm.Reg{acc} }
}

var multiplyAdd = map[tensor.DType]string{tensor.F32: "fma.rn.f32", tensor.F64: "fma.rn.f64", tensor.I32: "mad.lo.s32"}

// operandStride is a step of an operand in bytes, as an address.
func (p *pointCode) operandStride(name string, buf int, x dim.Expr, value func(*codegen.BoundGemm) int64) asm.Reg {
	size := int64(p.e.c.kernel.Bufs[buf].DType.Size())
	return p.e.param(asm.B64, fmt.Sprint(name, " ", size, "*", x.Key()), func(f *frame) int64 { return size * value(f.gemm) })
}

// operand is the address of the first element that a point reads of operand A (0)
// or B (1): its batch and row of A, its batch and column of B.
func (p *pointCode) operand(b *body, which int, o codegen.Operand) asm.Reg {
	e, g := p.e, p.gemm
	bound := func(f *frame) *codegen.BoundOperand { return []*codegen.BoundOperand{&f.gemm.A, &f.gemm.B}[which] }
	size := int64(e.c.kernel.Bufs[o.Buf].DType.Size())
	at := e.pointer(fmt.Sprint("operand ", which), func(f *frame) Pointer {
		ptr := f.buffer(o.Buf)
		ptr.Offset += bound(f).Offset * size
		return ptr
	})
	for i, s := range o.Batch {
		at = e.offset(at, b.pos[i], e.size(s, size, func(f *frame) int64 { return bound(f).Batch[i] }))
	}
	m := len(g.Batch)
	if which == 0 {
		return e.offset(at, b.pos[m], e.size(o.Row, size, func(f *frame) int64 { return bound(f).Row }))
	}
	return e.offset(at, b.pos[m+1], e.size(o.Col, size, func(f *frame) int64 { return bound(f).Col }))
}
