package native

import (
	"errors"
	"strings"
	"sync"

	"jitc/codegen"
	"jitc/codegen/x64"
	"jitc/codegen/x64/gemm"
	"jitc/executors"
	"jitc/executors/native/exec"
	"jitc/ir"
	"jitc/ir/tensor"
)

// leaf is the machine code of one nest.
type leaf struct {
	code *x64.Code
	exe  *exec.Code
}

// stepCode is the machine code of one step: of its nest, or of the epilogue of
// its product.
type stepCode struct {
	leaf
	products *gemm.Kernels // set for a product
}

// kernel is a compiled region.
type kernel struct {
	executor    *Executor
	loops       *codegen.Kernel // as lowered
	legal       *codegen.Kernel // as emitted
	steps       []stepCode      // nil if the loops are interpreted
	interpreted string          // why, if they are
	info        executors.Info
	opts        executors.Options

	mu       sync.Mutex
	streamed map[int]leaf // by step; see streaming
}

func (e *Executor) kernel(region *ir.Func, loops *codegen.Kernel, o executors.Options) (*kernel, error) {
	k := &kernel{executor: e, loops: loops, opts: o}
	if err := k.emit(); err != nil {
		return nil, err
	}
	k.describe(region)
	return k, nil
}

// emit makes machine code, or notes why there is none.
func (k *kernel) emit() error {
	if !k.executor.emits {
		k.interpreted = "no machine code for this processor"
		return k.expand()
	}
	legal, err := codegen.Legalize(k.loops, x64.Target(k.executor.features, k.opts.FastMath))
	if err != nil {
		return err
	}
	k.legal = legal
	for i := range legal.Steps {
		step, err := k.step(&legal.Steps[i])
		var unsupported *x64.Unsupported
		if errors.As(err, &unsupported) {
			k.steps, k.interpreted = nil, unsupported.Reason
			return k.expand()
		}
		if err != nil {
			return err
		}
		k.steps = append(k.steps, step)
	}
	return nil
}

// expand prepares the loop nests for interpretation: elementary functions by the
// same expansions as in machine code, so that results differ little between
// processors.
func (k *kernel) expand() (err error) {
	k.legal, err = codegen.Legalize(k.loops, codegen.Target{FastMath: k.opts.FastMath})
	return err
}

func (k *kernel) step(s *codegen.Step) (out stepCode, err error) {
	nest := s.Nest
	if s.Gemm != nil {
		nest = s.Gemm.Epilogue
		if dt := s.Gemm.DType; dt != tensor.F32 && dt != tensor.F64 {
			return out, &x64.Unsupported{Reason: "matrix product of " + dt.String()}
		}
		if out.products, err = k.executor.products.of(s.Gemm.DType); err != nil {
			return out, err
		}
	}
	out.leaf, err = k.leaf(nest, nil)
	return out, err
}

// leaf makes the machine code of a nest, with stores past the caches to the
// buffers that nonTemporal marks.
func (k *kernel) leaf(nest *codegen.Nest, nonTemporal []bool) (leaf, error) {
	o := x64.Options{FastMath: k.opts.FastMath, Listing: k.opts.Dumps, NonTemporal: nonTemporal}
	code, err := x64.Compile(k.legal, nest, k.executor.features, o)
	if err != nil {
		return leaf{}, err
	}
	exe, err := exec.Load(code.Bytes)
	return leaf{code, exe}, err
}

func (k *kernel) describe(region *ir.Func) {
	bytes, flops := executors.Cost(region)
	k.info = executors.Info{Executor: Name, Kind: "loops", Bytes: bytes, Flops: flops}
	var stats []x64.Stats
	for _, s := range k.steps {
		stats = append(stats, s.code.Stats)
		k.info.Code += len(s.code.Bytes)
	}
	for _, s := range k.loops.Steps {
		if s.Gemm != nil {
			k.info.Kind = "gemm"
		}
	}
	k.info.Detail = describe(stats, k.interpreted)
}

// Info describes the kernel.
func (k *kernel) Info() executors.Info { return k.info }

// Dump gives "loops", the loop nests as lowered, and "asm", the machine code.
func (k *kernel) Dump(stage string) (string, bool) {
	switch stage {
	case "loops":
		return k.loops.String(), true
	case "asm":
		if k.steps == nil || !k.opts.Dumps {
			return "", false
		}
		var b strings.Builder
		for _, s := range k.steps {
			b.WriteString(s.code.Listing)
		}
		return b.String(), true
	}
	return "", false
}

// Bind proves the sizes safe and prepares a launch.
func (k *kernel) Bind(sizes map[string]int64) (executors.Launch, error) {
	b, err := codegen.Bind(k.legal, sizes)
	wide := errors.Is(err, codegen.ErrIndexWidth) // indices beyond 2^31: correct, if slow
	if wide {
		b, err = codegen.Bind(k.loops, sizes)
	}
	if err != nil {
		return nil, err
	}
	if wide || k.steps == nil {
		return bindInterpreted(b, wide && k.steps != nil), nil
	}
	return k.bindCode(b, sizes)
}
