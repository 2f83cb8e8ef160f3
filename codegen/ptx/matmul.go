package ptx

import (
	"errors"
	"fmt"
	"slices"

	"jitc/codegen"
	"jitc/codegen/ptx/asm"
	"jitc/codegen/ptx/gemm"
	"jitc/ir/dim"
)

// matmul is a product by the templates of package gemm: an entry per configuration,
// and one that ends products whose k is split where their entry does not. Its epilogue is emitted per group of
// neighbours along n, whose sums are in registers.
type matmul struct {
	g       *codegen.Gemm
	problem gemm.Problem
	configs []gemm.Config
	entries []matmulEntry // per configuration
	sum     matmulEntry
	plain   *points // serves what the configurations do not; nil: they serve all
}

// matmulEntry is an entry and where the template's parameters begin.
type matmulEntry struct {
	*entry
	at     int
	group  int
	strict []int // accesses of the epilogue whose runs must be aligned
}

// maxEpilogue bounds the instructions of an epilogue: longer ones are emitted for
// fewer neighbours at a time, since assembling a product takes long as it is.
const maxEpilogue = 400

func (c *compiler) matmul(step int, g *codegen.Gemm, p gemm.Problem) *matmul {
	if p.Wgmma {
		p.Ending = c.ending(g)
	}
	m := &matmul{g: g, problem: p, configs: slices.Clone(gemm.Candidates(p, c.device.Arch))}
	whole := c.narrow(step, m)
	most := c.epilogueGroup(g)
	for i := range m.configs {
		for m.configs[i].Group > most {
			m.configs[i].Group /= 2
		}
		cfg := m.configs[i]
		e := matmulEntry{entry: c.entry(c.name(step, fmt.Sprintf("_%s%d", cfg.Kind, i)), cfg.Threads(), g.Epilogue), group: cfg.Group}
		if cfg.Swap {
			e.group = 1
		}
		e.strict = c.epilogueRuns(g, e.group)
		e.at = gemm.Emit(e.Kernel, cfg, p, e.epilogue(g))
		m.entries = append(m.entries, e)
	}
	if whole {
		return m
	}
	m.sum = matmulEntry{entry: c.entry(c.name(step, "_sum"), gemm.SumThreads, g.Epilogue), group: m.configs[0].Group}
	m.sum.strict = c.epilogueRuns(g, m.sum.group)
	m.sum.at = gemm.EmitSum(m.sum.Kernel, p, m.sum.group, m.sum.epilogue(g))
	return m
}

// ending is about how many instructions an epilogue takes per element: those that two
// more neighbours take, in code that is thrown away.
func (c *compiler) ending(g *codegen.Gemm) int {
	insts := func(neighbours int) int {
		e := newEntry(c, "", gemm.SumThreads, g.Epilogue)
		class := kindOf(g.DType).class()
		e.epilogue(g)(e.Kernel, gemm.Element{Batch: e.Regs(asm.B32, len(g.Batch)), M: e.Reg(asm.B32), N: e.Reg(asm.B32),
			Acc: e.Regs(class, neighbours), Live: e.Regs(asm.Pred, neighbours)})
		return e.Insts()
	}
	return (insts(4) - insts(2)) / 2
}

// epilogueGroup is how many neighbours an epilogue takes at most: no access is wider
// than 128 bits, and its code is not too long.
func (c *compiler) epilogueGroup(g *codegen.Gemm) int {
	n := g.Epilogue
	most := max(maxEpilogue/len(n.Insts), 1)
	for i := range n.Accs {
		if buf := n.Accs[i].Buf; buf != g.Tile { // of which the sums are in registers
			most = min(most, 16/c.kernel.Bufs[buf].DType.Size())
		}
	}
	return most
}

// narrow keeps only the best configuration where all sizes are known. It may want
// operands aligned, which a thread per element serves otherwise. whole says that it
// does not split k.
func (c *compiler) narrow(step int, m *matmul) (whole bool) {
	one := *c.kernel
	one.Steps = c.kernel.Steps[step : step+1]
	bound, err := codegen.Bind(&one, nil)
	if err != nil { // symbolic
		return false
	}
	f := &frame{binding: &binding{bound: bound, align: alignment}}
	f.setStep(0)
	best, err := gemm.Best(m.configs, m.problem, m.sizes(f), c.device.Multiprocessors)
	if err != nil {
		return false
	}
	m.configs = m.configs[best.Config : best.Config+1]
	m.plain = c.points(step, "_plain", m.g.Epilogue, m.g)
	return best.Sum == nil
}

// problem is what a product's code depends on.
func (c *compiler) problem(g *codegen.Gemm) gemm.Problem {
	return gemm.Problem{
		A: c.kernel.Bufs[g.A.Buf].DType, B: c.kernel.Bufs[g.B.Buf].DType, Acc: g.DType,
		AContract: major(g.A.Col, g.A.Row), BContract: major(g.B.Row, g.B.Col),
		Batch: len(g.Batch), TF32: c.opts.TF32, Wgmma: c.opts.Wgmma && c.device.Arch == wgmmaArch,
	}
}

// major is an operand's layout, by its strides along k and along the other axis.
func major(k, other dim.Expr) gemm.Major {
	if s, ok := k.Const(); ok && s == 1 {
		return gemm.KMajor
	}
	if s, ok := other.Const(); ok && s == 1 {
		return gemm.MNMajor
	}
	return gemm.Strided
}

// epilogue emits the epilogue's nest for a group of elements.
func (e *entry) epilogue(g *codegen.Gemm) gemm.Epilogue {
	return func(_ *asm.Kernel, at gemm.Element) {
		b, n := e.body(), g.Epilogue
		axes := epilogueLoops(n)
		for i, r := range append(append([]asm.Reg(nil), at.Batch...), at.M, at.N) {
			b.pos[i] = e.position(r)
		}
		uses := used(n, 0, len(n.Insts))
		for a := range n.Accs {
			if uses[a] = uses[a] && n.Accs[a].Buf != g.Tile; uses[a] {
				b.addr[a] = b.base(a)
			}
		}
		for i := range axes {
			b.addr = b.moved(b.addr, &axes[i], b.pos[i], uses)
		}
		b.across(&axes[len(axes)-1], len(at.Acc))
		b.tile = func(*codegen.Inst) []asm.Reg { return at.Acc }
		b.live = at.Live
		if len(at.Acc) > 1 {
			aligned := e.param(asm.B32, "aligned", func(f *frame) int64 { return f.step })
			b.full = e.Op(asm.Pred, "setp.eq.u32", aligned, len(at.Acc))
			b.full = e.Op(asm.Pred, "and.pred", b.full, at.Live[len(at.Live)-1])
		}
		for _, p := range n.Phases {
			b.run(p.From, p.To)
		}
	}
}

// epilogueRuns are the accesses that are made for a group of neighbours at once, if
// all are aligned.
func (c *compiler) epilogueRuns(g *codegen.Gemm, group int) []int {
	axes := epilogueLoops(g.Epilogue)
	return c.strict(g.Epilogue, &axes[len(axes)-1], group)
}

// epilogueLoops are an epilogue's axes, each by itself.
func epilogueLoops(n *codegen.Nest) []loop {
	var out []loop
	for _, a := range n.Outer {
		out = append(out, loop{[]int{a}, n.Axes[a].Extent})
	}
	return out
}

// sizes is the problem at the frame's sizes.
func (m *matmul) sizes(f *frame) gemm.Sizes {
	g := f.gemm
	return gemm.Sizes{M: g.M, N: g.N, K: g.K, Batch: g.Batch,
		A: f.operand(&g.A, g.A.Row, g.A.Col), B: f.operand(&g.B, g.B.Col, g.B.Row)}
}

func (f *frame) operand(o *codegen.BoundOperand, mn, k int64) gemm.Operand {
	align := f.align
	if f.bound.Kernel.Bufs[o.Buf].Kind == codegen.Temp {
		align = alignment
	}
	return gemm.Operand{Offset: o.Offset, Batch: o.Batch, MN: mn, K: k, Align: int(align)}
}

func (m *matmul) bind(b *binding, step int) ([]Launch, error) {
	f := &frame{binding: b}
	if f.setStep(step); f.nest.Empty {
		return nil, nil
	}
	choice, err := gemm.Best(m.configs, m.problem, m.sizes(f), b.m.device.Multiprocessors)
	switch {
	case errors.Is(err, gemm.ErrSize) && m.plain != nil:
		return m.plain.bind(b, step)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", &Unsupported{"a product of these sizes"}, err)
	}
	scratch, zeros := b.take(choice.Scratch), b.count(choice.Counters)
	out := make([]Launch, 0, 2)
	if out, err = f.matmul(out, m.entries[choice.Config], &choice.Main, scratch, zeros); err != nil || choice.Sum == nil {
		return out, err
	}
	return f.matmul(out, m.sum, choice.Sum, scratch, zeros)
}

// matmul adds a launch of a template's entry.
func (f *frame) matmul(ls []Launch, e matmulEntry, t *gemm.Launch, scratch, zeros int64) ([]Launch, error) {
	f.step = 1
	axes := epilogueLoops(e.nest)
	if f.aligned(e.strict, axes, &axes[len(axes)-1], int64(e.group)) {
		f.step = int64(e.group)
	}
	l := Launch{Grid: t.Grid, Block: t.Block, Shared: t.Shared}
	if err := e.fill(f, &l); err != nil {
		return nil, err
	}
	copy(l.Params[e.at:], t.Params)
	to := [...]Pointer{gemm.OperandA: f.buffer(f.gemm.A.Buf), gemm.OperandB: f.buffer(f.gemm.B.Buf),
		gemm.Scratch: {Buf: Scratch, Offset: scratch}, gemm.Counters: {Buf: Zeros, Offset: zeros}}
	for _, p := range t.Pointers {
		l.Pointers = append(l.Pointers, Pointer{At: e.at + p.At, Buf: to[p.What].Buf, Offset: to[p.What].Offset + p.Offset})
	}
	for _, m := range t.Maps {
		l.Maps = append(l.Maps, Map{At: e.at + m.At, Buf: to[m.What].Buf, Offset: to[m.What].Offset + m.Offset, Tensor: m.Tensor})
	}
	return append(ls, l), nil
}
