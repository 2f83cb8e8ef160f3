package ptx

import (
	"encoding/binary"
	"fmt"
	"math"

	"jitc/codegen"
	"jitc/codegen/ptx/asm"
	"jitc/ir/dim"
)

// entry is one entry in the making, with what fills its parameter block. What
// depends on sizes is a parameter; equal ones are declared once.
type entry struct {
	*asm.Kernel
	c    *compiler
	nest *codegen.Nest
	wide bool // positions are 64 bits, not 32
	args []argument
	pool map[string]asm.Reg // parameters and constants, by key
}

// argument fills one parameter.
type argument struct {
	param   asm.Param
	value   func(f *frame) int64   // of an integer parameter
	pointer func(f *frame) Pointer // of an address
	what    string
	bits    bool // an unsigned number
}

func (c *compiler) entry(name string, threads int, n *codegen.Nest) *entry {
	e := newEntry(c, name, threads, n)
	c.module.Kernels, c.entries = append(c.module.Kernels, e.Kernel), append(c.entries, e)
	return e
}

// newEntry is an entry of no module.
func newEntry(c *compiler, name string, threads int, n *codegen.Nest) *entry {
	return &entry{Kernel: asm.NewKernel(name, threads), c: c, nest: n, wide: c.kernel.WideIndex, pool: map[string]asm.Reg{}}
}

// forget drops what only emission needs: modules live long.
func (e *entry) forget() {
	e.Kernel = &asm.Kernel{Name: e.Name, Threads: e.Threads, Params: e.Params}
	e.c, e.pool = nil, nil
}

// pooled is the register of a key, made in the head at its first use.
func (e *entry) pooled(key string, make func() asm.Reg) asm.Reg {
	r, ok := e.pool[key]
	if !ok {
		e.InHead(func() { r = make() })
		e.pool[key] = r
	}
	return r
}

// param is an integer parameter of 4 or 8 bytes; Bind fails with ErrIndexWidth
// where the value does not fit 4.
func (e *entry) param(c asm.Class, key string, value func(f *frame) int64) asm.Reg {
	return e.pooled(fmt.Sprint(c, " ", key), func() asm.Reg {
		r := e.Param(c, fmt.Sprintf("p%d", len(e.Params)))
		e.args = append(e.args, argument{param: e.Params[len(e.Params)-1], value: value, what: key})
		return r
	})
}

// bitsParam is a parameter of 4 bytes that holds an unsigned number.
func (e *entry) bitsParam(key string, value func(f *frame) int64) asm.Reg {
	r := e.param(asm.B32, key, value)
	for i := range e.args {
		e.args[i].bits = e.args[i].bits || e.args[i].what == key
	}
	return r
}

// pointer is an address parameter.
func (e *entry) pointer(key string, value func(f *frame) Pointer) asm.Reg {
	return e.pooled("pointer "+key, func() asm.Reg {
		r := e.Param(asm.B64, fmt.Sprintf("p%d", len(e.Params)))
		e.args = append(e.args, argument{param: e.Params[len(e.Params)-1], pointer: value, what: key})
		return r
	})
}

// constant is a register that holds a value of kind k throughout.
func (e *entry) constant(k kind, bits uint64) asm.Reg {
	return e.pooled(fmt.Sprintf("const %s %d", k.typ(), bits), func() asm.Reg {
		if k == kBool {
			return e.Op(asm.Pred, "setp.ne.u32", e.constant(kU32, bits), 0)
		}
		return e.Op(k.class(), "mov."+k.bits(), k.literal(bits))
	})
}

// size is a size as an operand: an immediate if it is known, else a parameter of
// the width of positions.
func (e *entry) size(x dim.Expr, scale int64, value func(f *frame) int64) any {
	if c, ok := x.Mul(dim.Const(scale)).Const(); ok && (e.wide || int64(int32(c)) == c) {
		return c
	}
	return e.param(e.index(), fmt.Sprint(scale, "*", x.Key()), func(f *frame) int64 { return scale * value(f) })
}

// index is the class of positions.
func (e *entry) index() asm.Class {
	if e.wide {
		return asm.B64
	}
	return asm.B32
}

func (e *entry) indexType() string {
	if e.wide {
		return "u64"
	}
	return "u32"
}

// ix is an instruction on positions: name with the type of positions.
func (e *entry) ix(name string, args ...any) asm.Reg {
	return e.Op(e.index(), name+"."+e.indexType(), args...)
}

// position is a 32-bit register as a position.
func (e *entry) position(r asm.Reg) asm.Reg {
	if e.wide {
		return e.Op(asm.B64, "cvt.u64.u32", r)
	}
	return r
}

// offset is base + i*stride for a position i and a stride in bytes.
func (e *entry) offset(base, i asm.Reg, stride any) asm.Reg {
	if e.wide {
		return e.Op(asm.B64, "mad.lo.s64", i, stride, base)
	}
	return e.Op(asm.B64, "mad.wide.s32", i, stride, base)
}

// fill packs the parameter block of a launch.
func (e *entry) fill(f *frame, l *Launch) error {
	l.Entry, l.Params = e.Name, make([]byte, e.ParamBytes())
	for _, a := range e.args {
		at := l.Params[a.param.Offset:]
		switch {
		case a.pointer != nil:
			p := a.pointer(f)
			p.At = a.param.Offset
			l.Pointers = append(l.Pointers, p)
		case a.param.Bytes == 8:
			binary.LittleEndian.PutUint64(at, uint64(a.value(f)))
		default:
			v := a.value(f)
			if v < math.MinInt32 || v > math.MaxUint32 || v > math.MaxInt32 && !a.bits {
				return fmt.Errorf("ptx: %s of %s is %d: %w", a.what, e.Name, v, codegen.ErrIndexWidth)
			}
			binary.LittleEndian.PutUint32(at, uint32(v))
		}
	}
	return nil
}
