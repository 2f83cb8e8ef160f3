package gemm

import (
	"slices"

	"jitc/ir/tensor"
)

// shared is the dynamic shared memory in bytes that a block may have, per compute
// capability (CUDA programming guide, technical specifications); 99 KiB for those
// not listed.
var shared = map[int]int{80: 163 << 10, 87: 163 << 10, 90: 227 << 10, 100: 227 << 10, 103: 227 << 10}

func sharedOf(arch int) int {
	if n, ok := shared[arch]; ok {
		return n
	}
	return 99 << 10
}

// The tables of configurations, without those that swap.
var (
	tensorConfigs = []Config{
		{Kind: Tensor, BM: 128, BN: 256, WM: 2, WN: 4, Stages: 3},
		{Kind: Tensor, BM: 128, BN: 128, WM: 2, WN: 2, Stages: 3},
		{Kind: Tensor, BM: 64, BN: 64, WM: 2, WN: 2, Stages: 4},
	}
	bulkConfigs = []Config{
		{Kind: Bulk, BM: 128, BN: 256, WM: 8, WN: 1, Stages: 4},
		{Kind: Bulk, BM: 128, BN: 128, WM: 8, WN: 1, Stages: 6},
		{Kind: Bulk, BM: 128, BN: 128, WM: 8, WN: 1, Stages: 6, PingPong: true},
		{Kind: Bulk, BM: 128, BN: 64, WM: 8, WN: 1, Stages: 8},
	}
	groupConfigs = []Config{
		{Kind: WarpGroup, BM: 128, BN: 256, WM: 8, WN: 1, Stages: 4},
		{Kind: WarpGroup, BM: 128, BN: 128, WM: 8, WN: 1, Stages: 3},
	}
	scalarConfig = Config{Kind: Tensor, BM: 64, BN: 64, WM: 2, WN: 2, Stages: 2, Scalar: true}
	fmaConfigs   = []Config{
		{Kind: FMA, BM: 128, BN: 128, BK: 8, WM: 4, WN: 2, Stages: 2},
		{Kind: FMA, BM: 64, BN: 64, BK: 16, WM: 4, WN: 2, Stages: 2},
	}
	fma64Configs = []Config{{Kind: FMA, BM: 64, BN: 64, BK: 8, WM: 4, WN: 2, Stages: 2}}
)

// skinnyRows are the rows of the skinny template: on tensor cores more rows cost
// nothing.
func skinnyRows(p Problem) []int {
	if p.tensorCores() {
		return []int{4}
	}
	return []int{4, 16}
}

// tensorCores reports whether mma multiplies the operands.
func (p Problem) tensorCores() bool {
	_, ok := mmaInstructions[p.A]
	return ok && p.A == p.B && p.Acc == tensor.F32 && (p.A != tensor.F32 || p.TF32)
}

// Candidates are the configurations worth emitting, best for large products first,
// for a problem whose sizes are not known; Best takes one of them for all sizes.
// Where sizes are known, only the one that Best finds is worth emitting. The
// problem is one that is Supported.
func Candidates(p Problem, arch int) []Config {
	var cs []Config
	switch {
	case p.tensorCores():
		if p.AContract != Strided && p.BContract != Strided {
			tables := tensorConfigs
			if p.warpGroups(arch) {
				tables = slices.Concat(groupConfigs, tensorConfigs[2:])
				if p.Batch <= maxBulkBatch {
					tables = slices.Concat(bulkConfigs, tables)
				}
			}
			for _, c := range tables {
				c.BK = rowBytes / p.A.Size()
				if c.Shared(p) <= sharedOf(arch) {
					cs = append(cs, c)
				}
			}
		}
		c := scalarConfig
		c.BK = rowBytes / p.A.Size()
		cs = append(cs, c)
	case p.Acc == tensor.F64:
		cs = append(cs, fma64Configs...)
	default:
		cs = append(cs, fmaConfigs...)
	}
	for _, rows := range skinnyRows(p) {
		cs = append(cs, skinnyConfig(p, rows))
	}
	c := skinnyConfig(p.swapped(), 4)
	c.Swap = true
	cs = append(cs, c)
	for i := range cs {
		if cs[i].Group = 4; cs[i].Kind == Bulk { // few warps: each has more on the way
			cs[i].Group = 8
		}
	}
	return cs
}

// Shared is the dynamic shared memory of a block in bytes: the stages of the loop,
// and in the same place the staged sums of the end. Those of Bulk lie behind the
// stages, then barriers.
func (c Config) Shared(p Problem) int {
	if c.Swap {
		p = p.swapped()
	}
	acc := arithmetic[p.Acc].bytes
	staged := c.BM * c.stagingPitch() * acc
	switch c.Kind {
	case Skinny:
		return staged * c.WM
	case Bulk:
		return c.barriersAt(p) + (2*c.Stages+c.turns())*barrierBytes
	}
	return max(staged, c.Stages*c.stageBytes(p))
}

// stageBytes is the size of a tile of A and one of B.
func (c Config) stageBytes(p Problem) int {
	if c.Kind == FMA {
		t := arithmetic[p.Acc]
		return c.BK * (t.fmaRow(c.BM) + t.fmaRow(c.BN)) * t.bytes
	}
	return c.layoutOf(c.BM, p.A, p.AContract).bytes() + c.layoutOf(c.BN, p.B, p.BContract).bytes()
}

// minBlocks is the number of blocks of a multiprocessor that registers must
// suffice for: as many as threads have sums and fragments to spare for.
func (c Config) minBlocks() int {
	switch {
	case c.Kind == Bulk:
		return 1
	case c.Kind == FMA || c.Kind == Skinny || c.BM*c.BN == 128*128:
		return 2
	case c.BM*c.BN > 128*128:
		return 1
	}
	return 3
}
