package ptx

import (
	"fmt"
	"strconv"
	"strings"

	"jitc/codegen"
	"jitc/codegen/ptx/asm"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Options are a compilation's choices besides the target.
type Options struct {
	TF32     bool // products of f32 may round operands to 10 bits of mantissa
	Wgmma    bool // products of 16-bit floats by the warp-group instructions of sm_90a
	FastMath bool // Min and Max may lose a NaN; division, square root and the spelled functions are approximate
}

// Unsupported says that a kernel, or its sizes, cannot run on a GPU; the caller
// uses another executor.
type Unsupported struct{ Reason string }

func (e *Unsupported) Error() string { return "ptx: not supported: " + e.Reason }

// Target says what this package spells, for Legalize. What has an accurate
// instruction is spelled; with fastMath also what has an approximate one.
func Target(fastMath, wide bool) codegen.Target {
	return codegen.Target{FastMath: fastMath, WideIndex: wide, Spells: func(c codegen.Code, t tensor.DType) bool {
		return c <= codegen.Store || spelling(c, kindOf(t), fastMath) != nil
	}}
}

// Module is the code of a kernel for all sizes. Immutable, and safe for concurrent
// use.
type Module struct {
	Texts  []Text // of the entries, by step
	Kernel *codegen.Kernel

	device Device
	steps  []binder // per step of the kernel
}

// Text is the PTX of all entries as one module.
func (m *Module) Text() string { return Whole(m.Texts) }

// binder plans the launches of a step at concrete sizes.
type binder interface {
	bind(b *binding, step int) ([]Launch, error)
}

// compiler is the state of one Compile.
type compiler struct {
	kernel  *codegen.Kernel
	facts   *dim.Facts
	device  Device
	opts    Options
	module  *asm.Module
	entries []*entry
}

// Compile translates a legal kernel for a device. An error is *Unsupported.
func Compile(k *codegen.Kernel, d Device, o Options) (*Module, error) {
	if !k.Legal {
		panic("BUG: ptx: kernel is not legal")
	}
	c := &compiler{kernel: k, device: d, opts: o, module: moduleFor(d, o)}
	if d.Arch < minArch {
		return nil, &Unsupported{fmt.Sprintf("compute capability %d.%d; expected %d.%d or later", d.Arch/10, d.Arch%10, minArch/10, minArch%10)}
	}
	if c.facts = k.Facts; c.facts == nil {
		c.facts = dim.NewFacts()
	}
	m := &Module{Kernel: k, device: d}
	for i, s := range k.Steps {
		var b binder
		var err error
		if s.Nest != nil {
			b, err = c.nest(i, s.Nest)
		} else {
			b, err = c.product(i, s.Gemm)
		}
		if err != nil {
			return nil, err
		}
		m.steps = append(m.steps, b)
	}
	for _, e := range c.module.Kernels {
		if n := e.ParamBytes(); n > maxParamBytes {
			return nil, &Unsupported{fmt.Sprintf("%d bytes of parameters; at most %d", n, maxParamBytes)}
		}
	}
	m.Texts = Texts(c.module)
	for _, e := range c.entries {
		e.forget()
	}
	return m, nil
}

// moduleFor is the head of a device's code.
func moduleFor(d Device, o Options) *asm.Module {
	if o.Wgmma && d.Arch == wgmmaArch {
		return &asm.Module{Version: wgmmaVersion, Target: "sm_90a"}
	}
	return &asm.Module{Version: isaVersion, Target: TargetName(d.Arch)}
}

// targets are the architectures that isaVersion knows.
var targets = []int{90, 89, 87, 86, 80}

// TargetName is the .target of code for a device: the last known one that the
// device can run, "sm_90" for compute capability 9.0 and whatever follows.
func TargetName(arch int) string {
	for _, t := range targets {
		if t <= arch {
			return "sm_" + strconv.Itoa(t)
		}
	}
	return "sm_" + strconv.Itoa(arch)
}

const (
	isaVersion    = "7.8" // of PTX: the first that knows sm_90
	wgmmaVersion  = "8.0"
	wgmmaArch     = 90
	minArch       = 80   // asynchronous copies, bf16, min and max of NaN
	maxParamBytes = 4096 // what a launch may pass
)

// nest compiles a loop nest with the schedule that suits it.
func (c *compiler) nest(step int, n *codegen.Nest) (binder, error) {
	if err := c.check(n); err != nil {
		return nil, err
	}
	if len(n.Inner) == 0 {
		if t := c.tiles(step, n); t != nil {
			return t, nil
		}
		return c.points(step, "", n, nil), nil
	}
	return c.groups(step, n), nil
}

// check refuses what has no spelling.
func (c *compiler) check(n *codegen.Nest) error {
	for i := range n.Insts {
		in := &n.Insts[i]
		switch in.Op {
		case codegen.Const, codegen.Index, codegen.Size, codegen.Acc, codegen.Load, codegen.Store:
			continue
		}
		if spelling(in.Op, kindOf(operandType(n, in)), c.opts.FastMath) == nil {
			return &Unsupported{in.Op.String() + " of " + in.Type.String()}
		}
	}
	for i := range n.Accs {
		if b := &c.kernel.Bufs[n.Accs[i].Buf]; memoryRows[b.DType].load == nil {
			return &Unsupported{"elements of type " + b.DType.String()}
		} else if b.Kind == codegen.Row && len(n.Inner) == 0 {
			return &Unsupported{"a row buffer in a nest without inner axes"}
		}
	}
	return nil
}

// operandType is the type that chooses an instruction's row: of a comparison, a
// cast or a reinterpretation that of its operand.
func operandType(n *codegen.Nest, in *codegen.Inst) tensor.DType {
	if in.Op >= codegen.Eq && in.Op <= codegen.Ge || in.Op == codegen.Cast || in.Op == codegen.Bits {
		return n.Insts[in.A].Type
	}
	return in.Type
}

// name is a step's entry: the kernel's name, cut down to what PTX allows, and the
// step.
func (c *compiler) name(step int, suffix string) string {
	name := strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, c.kernel.Name)
	if len(name) > 80 {
		name = name[:80]
	}
	return fmt.Sprintf("k_%s_%d%s", name, step, suffix)
}
