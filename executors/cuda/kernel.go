package cuda

import (
	"errors"
	"sync"

	"jitc/codegen"
	"jitc/codegen/ptx"
	"jitc/executors"
	"jitc/ir"
)

// kernel is a compiled region.
type kernel struct {
	executor *Executor
	machine  *machine
	name     string
	loops    *codegen.Kernel // as lowered; nil of a template
	opts     executors.Options
	narrow   *form                 // with 32-bit indices
	wide     func() (*form, error) // with 64-bit indices: made when sizes need it
	info     executors.Info
}

// planner plans the launches of a module at concrete sizes.
type planner interface {
	plan(sizes map[string]int64) (*planned, error)
}

// planned is a plan, for buffers at multiples of vectorBytes.
type planned struct {
	*ptx.Plan
	buffers []buffer // of the caller
	updates *int     // the operand in whose memory the result may lie; nil: none
}

// vectorBytes is the alignment of the widest accesses. Buffers are promised to be
// aligned to their elements, and others than these are moved (see enqueueMoved): a
// plan of narrow accesses would add up in another order, and results would depend
// on where buffers lie.
const vectorBytes = 16

// buffer is what a run needs to know of a caller's buffer.
type buffer struct {
	name   string
	bytes  int
	align  uintptr
	result bool
}

// newKernel lowers a region of loop nests and makes their code with narrow indices.
func newKernel(e *Executor, m *machine, region *ir.Func, o executors.Options) (*kernel, error) {
	k := &kernel{executor: e, machine: m, name: region.Name, opts: o}
	var err error
	if k.loops, err = codegen.Lower(region, codegen.Options{}); err != nil {
		return nil, err
	}
	if k.narrow, err = k.form(false); err != nil {
		return nil, err
	}
	k.wide = sync.OnceValues(func() (*form, error) { return k.form(true) })
	kind := "loops"
	for _, s := range k.loops.Steps {
		if s.Gemm != nil {
			kind = "gemm"
		}
	}
	k.describe(region, kind)
	return k, nil
}

// form emits and assembles the code for one width of indices.
func (k *kernel) form(wide bool) (*form, error) {
	legal, err := codegen.Legalize(k.loops, ptx.Target(k.opts.FastMath, wide))
	if err != nil {
		return nil, err
	}
	code, err := ptx.Compile(legal, k.machine.device, ptx.Options{FastMath: k.opts.FastMath,
		TF32: k.opts.FastMath, Wgmma: k.executor.options().Wgmma && k.machine.version >= wgmmaVersion})
	if err != nil {
		return nil, err
	}
	return newForm(k, nests{legal, code}, code.Texts), nil
}

// wgmmaVersion is the first CUDA that takes warp-group instructions.
const wgmmaVersion = 12000

// nests is the planner of loop nests.
type nests struct {
	legal *codegen.Kernel
	code  *ptx.Module
}

func (n nests) plan(sizes map[string]int64) (*planned, error) {
	b, err := codegen.Bind(n.legal, sizes)
	if err != nil {
		return nil, err
	}
	p := &planned{}
	if p.Plan, err = n.code.BindAligned(b, vectorBytes); err != nil {
		return nil, err
	}
	for i, buf := range n.legal.Bufs {
		if buf.Kind == codegen.Input || buf.Kind == codegen.Output {
			size := buf.DType.Size()
			p.buffers = append(p.buffers, buffer{buf.Name, int(b.Lens[i]) * size, uintptr(max(size, 1)), buf.Kind == codegen.Output})
		}
	}
	return p, nil
}

func (k *kernel) describe(region *ir.Func, kind string) {
	bytes, flops := executors.Cost(region)
	k.info = executors.Info{Executor: k.executor.Name(), Kind: kind, Code: k.narrow.bytes(),
		Detail: k.narrow.describe(), Bytes: bytes, Flops: flops}
}

// Info describes the kernel. Code is that of the entries which every size needs, or
// all with Options.Dumps; 0 where the driver assembles it.
func (k *kernel) Info() executors.Info { return k.info }

// Dump gives "loops", the loop nests as lowered; "ptx"; and "asm", what the
// assembler said of it and, where a disassembler is installed, the machine code.
func (k *kernel) Dump(stage string) (string, bool) {
	switch stage {
	case "loops":
		if k.loops == nil {
			return "", false
		}
		return k.loops.String(), true
	case "ptx":
		return ptx.Whole(k.narrow.texts), true
	case "asm":
		if !k.opts.Dumps {
			return "", false
		}
		return k.narrow.listing()
	}
	return "", false
}

// Bind proves the sizes safe, assembles and loads the entries that they choose if
// that has not happened, and prepares a launch.
func (k *kernel) Bind(sizes map[string]int64) (executors.Launch, error) {
	l, err := k.bind(k.narrow, sizes, false)
	if errors.Is(err, codegen.ErrIndexWidth) && k.wide != nil {
		var f *form
		if f, err = k.wide(); err == nil {
			l, err = k.bind(f, sizes, true)
		}
	}
	if err != nil {
		return nil, unsupported(k.executor.Name(), err)
	}
	return l, nil
}

func (k *kernel) bind(f *form, sizes map[string]int64, wide bool) (*launch, error) {
	p, err := f.plan(sizes)
	if err != nil {
		return nil, err
	}
	return newLaunch(k, f, p, wide)
}
