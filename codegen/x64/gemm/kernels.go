package gemm

import (
	"fmt"
	"sync"

	"jitc/ir/tensor"
)

// kernelKind is a family of emitted kernels.
type kernelKind uint8

const (
	microKernel kernelKind = iota
	copyPack
	transposePack
	streamKernel
	dotKernel
)

// kernelKey names one kernel of a set; x and y are the family's two sizes.
type kernelKey struct {
	kind     kernelKind
	src      tensor.DType // element type of the operand it reads; the compute type for micro-kernels
	x, y     int
	aInPlace bool
	bInPlace bool
}

// emitters has one row per family.
var emitters = [...]func(isa ISA, dt tensor.DType, k kernelKey) []byte{
	microKernel: func(isa ISA, dt tensor.DType, k kernelKey) []byte {
		return emitMicro(isa, dt, microShape{k.x, k.y, k.aInPlace, k.bInPlace})
	},
	copyPack: func(isa ISA, dt tensor.DType, k kernelKey) []byte {
		return emitCopyPack(isa, dt, k.src, k.x)
	},
	transposePack: func(isa ISA, dt tensor.DType, k kernelKey) []byte {
		return emitTransposePack(isa, dt, k.src, k.x)
	},
	streamKernel: func(isa ISA, dt tensor.DType, k kernelKey) []byte {
		return emitStream(isa, dt, k.src, k.x, k.y)
	},
	dotKernel: func(isa ISA, dt tensor.DType, k kernelKey) []byte {
		return emitDot(isa, dt, k.src, k.x, k.y)
	},
}

// Kernels is the set of kernels for one target and compute type, each emitted
// and installed when a plan first needs it. It is safe for concurrent use and
// meant to be shared by all plans of a process.
type Kernels struct {
	target  Target
	dt      tensor.DType
	install Install

	mu        sync.Mutex
	installed map[kernelKey]Caller
}

// NewKernels returns an empty set that computes in dt, F32 or F64.
func NewKernels(t Target, dt tensor.DType, install Install) (*Kernels, error) {
	switch {
	case t.ISA != AVX2 && t.ISA != AVX512:
		return nil, fmt.Errorf("gemm: expected instruction set AVX2 or AVX512, got %d", t.ISA)
	case dt != tensor.F32 && dt != tensor.F64:
		return nil, fmt.Errorf("gemm: expected compute type f32 or f64, got %s; hint: f16 and bf16 operands compute in f32", dt)
	case install == nil:
		return nil, fmt.Errorf("gemm: expected a function that installs code, got nil")
	}
	if t.L1 <= 0 {
		t.L1 = 32 << 10
	}
	if t.L2 <= 0 {
		t.L2 = 512 << 10
	}
	if t.Cores <= 0 {
		t.Cores = 2
	}
	return &Kernels{target: t, dt: dt, install: install, installed: map[kernelKey]Caller{}}, nil
}

// get returns the kernel, emitting it on first use.
func (k *Kernels) get(key kernelKey) (Caller, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c, ok := k.installed[key]; ok {
		return c, nil
	}
	c, err := k.install(emitters[key.kind](k.target.ISA, k.dt, key))
	if err != nil {
		return nil, fmt.Errorf("gemm: install kernel: %w", err)
	}
	k.installed[key] = c
	return c, nil
}

func (k *Kernels) lanes() int { return lanesOf(k.target.ISA, k.dt) }
