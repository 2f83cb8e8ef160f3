package gemm

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
)

// inert stands for installed code where none runs.
type inert struct{}

func (inert) Call(unsafe.Pointer) {}

func inertKernels(t *testing.T, isa ISA, dt tensor.DType) *Kernels {
	k, err := NewKernels(Target{ISA: isa}, dt, func([]byte) (Caller, error) { return inert{}, nil })
	require.NoError(t, err)
	return k
}

func randomProblem(rng *rand.Rand, dt tensor.DType) Problem {
	size := func() int64 { return 1 + rng.Int64N(1<<rng.IntN(15)) }
	p := Problem{M: size(), N: size(), K: size(), Batch: []int64{1 + rng.Int64N(20)}}
	p.A = Operand{DType: dt, Row: p.K, Col: 1, Batch: []int64{p.M * p.K}}
	p.B = Operand{DType: dt, Row: p.N, Col: 1, Batch: []int64{p.N * p.K}}
	if rng.IntN(2) == 0 {
		p.A.Row, p.A.Col = 1, p.M
	}
	if rng.IntN(2) == 0 {
		p.B.Row, p.B.Col = 1, p.K
	}
	p.C = Result{Row: p.N, Batch: []int64{p.M * p.N}}
	return p
}

// The blocking covers the result exactly, fits the register file and bounds the length of a call.
func TestBlocking(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, isa := range []ISA{AVX2, AVX512} {
		registers := map[ISA]int{AVX2: 15, AVX512: 32}[isa]
		for _, dt := range []tensor.DType{tensor.F32, tensor.F64} {
			k := inertKernels(t, isa, dt)
			for range 2000 {
				p := randomProblem(rng, dt)
				b := newBlocking(k, &p)
				rows := b.height + min(b.tall, 1)
				require.Equal(t, p.M, b.rowAt(b.panels), "%+v", p)
				require.LessOrEqual(t, rows, int64(maxRows))
				require.LessOrEqual(t, int(rows)*b.nv+b.nv+1, registers, "%+v", p)
				require.Zero(t, b.tileCols%b.nr)
				require.Zero(t, b.slabPanels%b.tilePanels)
				require.True(t, b.mTiles*b.tilePanels >= b.panels && (b.mTiles-1)*b.tilePanels < b.panels, "%+v", p)
				require.True(t, b.nTiles*b.tileCols >= p.N && (b.nTiles-1)*b.tileCols < p.N, "%+v", p)
				require.True(t, b.kBlocks*b.kc >= p.K && (b.kBlocks-1)*b.kc < p.K, "%+v", p)
				require.LessOrEqual(t, 2*rows*b.tilePanels*b.kc*b.nr, int64(callFlops), "%+v", p)
			}
		}
	}
}

// The order of additions, which is that of the blocks of k, follows from the problem, not from the cores.
func TestOrderIgnoresCores(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		p := randomProblem(rng, tensor.F32)
		var blocks []int64
		for _, cores := range []int{1, 2, 64} {
			k := inertKernels(t, AVX512, tensor.F32)
			k.target.Cores = cores
			b := newBlocking(k, &p)
			blocks = append(blocks, b.kc)
		}
		require.Equal(t, blocks[0], blocks[1])
		require.Equal(t, blocks[0], blocks[2])
	}
}

// Every kernel of every family encodes, on both instruction sets.
func TestEmitters(t *testing.T) {
	for _, isa := range []ISA{AVX2, AVX512} {
		for _, g := range geometries[isa] {
			for mr := 1; mr <= g.mr; mr++ {
				for nv := 1; nv <= g.nv; nv++ {
					for i := range 4 {
						code := emitMicro(isa, tensor.F32, microShape{mr, nv, i&1 > 0, i&2 > 0})
						require.NotEmpty(t, code)
						require.Equal(t, byte(0xC3), code[len(code)-1], "ends in RET")
					}
				}
			}
		}
		for mr := 1; mr <= maxSkinny(isa); mr++ {
			for _, src := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16} {
				require.NotEmpty(t, emitDot(isa, tensor.F32, src, mr, dotWidth(isa, mr)))
				require.NotEmpty(t, emitStream(isa, tensor.F32, src, mr, streamDepth(isa, mr)))
			}
		}
	}
}
