// Package sim interprets PTX on the host: what package ptx emits can be run, and
// checked, without a GPU.
//
//	m, err := sim.Parse(text)
//	mem := sim.NewMemory()
//	mem.Map(0x7f0000000000, 4096)
//	stats, err := m.Run(mem, sim.Launch{Entry: "f", Grid: ..., Params: ...}, sim.Options{})
//
// An instruction is decoded once, to a function that carries it out for all lanes
// of a warp:
//
//	fma.rn.f32 %f1, %f2, %f3, %f1   ->   for lanes of the mask: regs[1][lane] = ...
//
// A warp's 32 threads run in step, with a mask; where they diverge, those that are
// furthest behind go first. Blocks run one after another. Asynchronous copies, those of
// tensor maps among them, and the products of warp groups (wgmma) happen as late as the
// program allows. A run is deterministic.
//
// Each of these is an error, a *Fault that names the instruction, block and thread:
// an access out of bounds or unaligned, a read of memory or of a register that
// nobody wrote, a race in shared memory between barriers, an access to the target of
// a copy before its wait, the same of registers and shared memory of a wgmma, a wgmma
// without its fences, a barrier or collective that some threads do not reach, a
// program that does not end; and of mbarriers: one that nobody initialised, arrivals or
// bytes that are not those that a phase expects, a wait that nobody can satisfy, a copy
// whose target or mbarrier is not fenced.
//
// What orders accesses to shared memory are barriers, and mbarriers: of those that
// arrive before those that wait for the phase. Some checks are stricter than the
// hardware: threads that have ended do not count as having reached a barrier; all warps
// pass a barrier of the whole block at the same instruction; fence.proxy.async counts
// for the thread's own writes only; every warp of a group counts as reading all of both
// operands; a register counts as read where a selection or a store does not need its
// value; the first wait at an mbarrier that finds its phase under way does not succeed;
// and nobody may arrive at, or copy to, a phase whose copies are all under way.
//
// Races of blocks in global memory are found where Options.GlobalRaces says so: what one
// block writes another may read only if it was handed over by an atomic with a fence on
// either side. With other seeds of Options.Perturb blocks and warps run in another
// order, and another lane is elected.
//
// What is not modelled: races in global memory inside a block, blocks that wait for
// each other, caches and memory ordering (that of the relaxed forms least of all),
// clusters and copies to several blocks, bulk copies that are not of tensor maps, im2col
// modes and reductions, mbarriers at which cp.async arrives, a wgmma.fence that is needed
// only behind reads of registers, and functions. Tensor maps have a format of this
// package's own, which EncodeTensorMap writes. Approximate instructions are correctly
// rounded, or off by up to 2 ulp as Options.Perturb says. The sign of a zero sum that is
// rounded down is that of one rounded to the nearest.
package sim
