// Package native is the executor for the host's processor: regions are lowered
// to loop nests, and those to machine code where the processor has an emitter
// (x86-64 with AVX2 or AVX-512); elsewhere, and for the few instructions that
// have no spelling, the same loop nests are interpreted. Importing it registers
// it.
//
//	region -> codegen.Lower -> codegen.Legalize -> x64.Compile -> exec.Load
//	                                            \> codegen.Machine (interpreted)
//
// Invariant: machine code is entered only for sizes for which codegen.Bind has
// proven that every live address lies in its buffer.
package native

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"jitc/codegen"
	"jitc/codegen/x64"
	"jitc/codegen/x64/asm"
	"jitc/codegen/x64/gemm"
	"jitc/executors"
	"jitc/executors/native/exec"
	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/tensor"
)

// Name is the executor's name in selections.
const Name = "native"

func init() { executors.Register(New(asm.Detect()), 20) }

// Executor is the native executor for one set of processor features.
type Executor struct {
	features  asm.Features
	emits     bool // machine code can be made and run here
	lastLevel int  // bytes of the last-level cache
	products  products
}

var _ executors.Executor = (*Executor)(nil)

// New returns an executor that emits code for the features given, which must be
// the processor's or fewer of them; without AVX2 it interprets.
func New(f asm.Features) *Executor {
	e := &Executor{features: f, emits: x64.Supported(f) && exec.Supported()}
	e.products.target = gemm.Target{ISA: gemm.AVX2, Cores: runtime.GOMAXPROCS(0)}
	if f.AVX512 {
		e.products.target.ISA = gemm.AVX512
	}
	c := cacheSizes()
	e.products.target.L1, e.products.target.L2 = c.l1, c.l2
	if e.lastLevel = max(c.l2, c.l3); e.lastLevel == 0 {
		e.lastLevel = defaultLastLevel
	}
	return e
}

// Name is "native".
func (*Executor) Name() string { return Name }

// Device is the host.
func (*Executor) Device() executors.Device { return executors.CPU }

// Available is always nil: a processor without an emitter interprets.
func (*Executor) Available() error { return nil }

// Features says what code is emitted, in words.
func (e *Executor) Features() string {
	switch {
	case !e.emits:
		return "loop nests interpreted: no machine code for this processor"
	case e.features.AVX512:
		return "x86-64 machine code, AVX-512"
	}
	return "x86-64 machine code, AVX2 and FMA"
}

// Claim takes every primitive, updates of what is large alone, and cumulative
// reductions; other composites come back as their parts.
func (*Executor) Claim(v *ir.Value) fusion.Claim {
	if v.Op == ir.OpCumulative {
		return fusion.Claim{Level: fusion.Alone, Why: "goes along lines in order: there is no loop nest"}
	}
	return executors.ClaimUpdates(v)
}

// Compile lowers the region and emits its code.
func (e *Executor) Compile(ctx context.Context, region *ir.Func, o executors.Options) (executors.Kernel, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if k := newUpdate(region); k != nil && e.Claim(k.v).Level < fusion.Fusible {
		return k, nil
	}
	if k := newCumulative(region); k != nil {
		return k, nil
	}
	loops, err := codegen.Lower(region, codegen.Options{})
	var unsupported *codegen.Unsupported
	if errors.As(err, &unsupported) {
		return nil, &executors.UnsupportedError{Executor: Name, Reason: unsupported.Reason}
	}
	if err != nil {
		return nil, err
	}
	return e.kernel(region, loops, o)
}

// caches are the sizes of the data caches that one core sees, in bytes; 0 where
// they are not known.
type caches struct{ l1, l2, l3 int }

// products holds the matrix-product kernels of the process, by compute type.
type products struct {
	target gemm.Target
	mu     sync.Mutex
	sets   map[tensor.DType]*gemm.Kernels
}

// of returns the kernels that compute in dt; emitted code is shared by all plans.
func (p *products) of(dt tensor.DType) (*gemm.Kernels, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.sets[dt]; k != nil {
		return k, nil
	}
	k, err := gemm.NewKernels(p.target, dt, func(code []byte) (gemm.Caller, error) { return exec.Load(code) })
	if err != nil {
		return nil, err
	}
	if p.sets == nil {
		p.sets = map[tensor.DType]*gemm.Kernels{}
	}
	p.sets[dt] = k
	return k, nil
}

// describe is the line about a kernel in reports.
func describe(stats []x64.Stats, interpreted string) string {
	if interpreted != "" {
		return "interpreted: " + interpreted
	}
	lanes, unroll, spills := 0, 0, 0
	for _, s := range stats {
		lanes, unroll, spills = max(lanes, s.Lanes), max(unroll, s.Unroll), spills+s.Spills
	}
	s := fmt.Sprintf("%d lanes, unrolled %d", lanes, unroll)
	if spills > 0 {
		s += fmt.Sprintf(", %d spills", spills)
	}
	return s
}
