package ptx

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/codegen/internal/elements"
	"jitc/internal/irgen"
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// randomNest builds nests of random axes, phases, types, strides, masks and
// reductions that do not depend on order.
type randomNest struct {
	*rand.Rand
	b     *codegen.KernelBuilder
	n     *codegen.NestBuilder
	ext   []dim.Expr
	outer int
	bufs  []codegen.Buffer // in the order in which they were declared
}

// declare adds a buffer; build puts them into a kernel's order.
func (r *randomNest) declare(kind codegen.BufKind, dt tensor.DType, length dim.Expr) int {
	name := fmt.Sprint("b", len(r.bufs))
	r.bufs = append(r.bufs, codegen.Buffer{Name: name, Kind: kind, DType: dt, Len: length})
	return r.b.Buffer(kind, name, dt, length)
}

func (r *randomNest) build(t *testing.T, name string) *codegen.Kernel {
	k := &codegen.Kernel{Name: name, Steps: []codegen.Step{{Nest: r.n.Nest()}}}
	to := make([]int, len(r.bufs))
	for kind := codegen.Input; kind <= codegen.Tile; kind++ {
		for i, b := range r.bufs {
			if b.Kind == kind {
				to[i] = len(k.Bufs)
				k.Bufs = append(k.Bufs, b)
			}
		}
	}
	accs := r.n.Nest().Accs
	for i := range accs {
		accs[i].Buf = to[accs[i].Buf]
	}
	require.NoError(t, codegen.Verify(k), "%s", k)
	return k
}

func (r *randomNest) dtype() tensor.DType {
	all := []tensor.DType{tensor.F32, tensor.F32, tensor.F64, tensor.I32, tensor.I64, tensor.U32, tensor.BF16, tensor.F16,
		tensor.I8, tensor.U16, tensor.U8, tensor.I16, tensor.Bool, tensor.F8E4M3, tensor.F8E5M2, tensor.U64}
	return all[r.IntN(len(all))]
}

// strides is a row-major walk over a random subset of the first rank axes, in a
// random order; all of them if full.
func (r *randomNest) strides(rank int, full bool) ([]dim.Expr, dim.Expr) {
	out := make([]dim.Expr, len(r.ext))
	size := con(1)
	order := r.Perm(rank)
	if r.IntN(3) > 0 { // contiguous in the last axis
		for i := range order {
			order[i] = rank - 1 - i
		}
	}
	for _, a := range order {
		if !full && r.IntN(4) == 0 {
			continue
		}
		out[a] = size
		size = size.Mul(r.ext[a])
	}
	return out, size
}

func (r *randomNest) expr(pool []codegen.Val, depth int) codegen.Val {
	for range depth {
		a := pool[r.IntN(len(pool))]
		t := r.n.TypeOf(a)
		b := r.n.To(codegen.Cast, t, pool[r.IntN(len(pool))])
		c := r.n.To(codegen.Cast, tensor.Bool, pool[r.IntN(len(pool))])
		var v codegen.Val
		switch ops := r.ops(t); r.IntN(6) {
		case 0:
			v = r.n.Op(codegen.Select, c, a, b)
		case 1:
			v = r.n.Op(codegen.Eq+codegen.Code(r.IntN(6)), a, b)
		default:
			v = r.n.Op(ops[r.IntN(len(ops))], a, b)
		}
		pool = append(pool, v)
	}
	return pool[len(pool)-1]
}

func (r *randomNest) ops(t tensor.DType) []codegen.Code {
	switch {
	case t == tensor.Bool:
		return []codegen.Code{codegen.And, codegen.Or, codegen.Xor}
	case t.IsFloat():
		return []codegen.Code{codegen.Add, codegen.Sub, codegen.Mul, codegen.Min, codegen.Max, codegen.Div}
	}
	return []codegen.Code{codegen.Add, codegen.Sub, codegen.Mul, codegen.Min, codegen.Max, codegen.And, codegen.Xor, codegen.Shl, codegen.Div, codegen.Rem}
}

// load reads a fresh input, with a data-dependent index from pool now and then.
func (r *randomNest) load(rank int, pool []codegen.Val) codegen.Val {
	st, size := r.strides(rank, false)
	off := int64(r.IntN(3) * r.IntN(2))
	var dyn []codegen.Dyn
	for len(pool) > 0 && r.IntN(4) == 0 {
		index := r.n.To(codegen.Cast, []tensor.DType{tensor.I32, tensor.I64}[r.IntN(2)], pool[r.IntN(len(pool))])
		limit := int64(1 + r.IntN(5))
		dyn = append(dyn, codegen.Dyn{Val: index, Limit: con(limit), Stride: size})
		size = size.Mul(con(limit))
	}
	a := codegen.AtExpr(-1, con(off), st...)
	a.Dyn = dyn
	for ax := range rank { // a mask on one axis, which shifts it
		if r.IntN(6) == 0 && r.IntN(2) == 0 {
			a.Offset = a.Offset.Sub(st[ax])
			coef := make([]dim.Expr, len(r.ext))
			coef[ax] = con(1)
			a.Masks = append(a.Masks, codegen.Mask{Offset: con(-1), Coef: coef, Limit: r.ext[ax], Stride: st[ax]})
			break
		}
	}
	a.Buf = r.declare(codegen.Input, r.dtype(), size.Add(con(off)))
	return r.n.Load(a)
}

// randomKernel has a phase that runs once; if there are inner axes, a looping one
// with two reductions; and a last one that stores.
func randomKernel(t *testing.T, seed uint64) *codegen.Kernel {
	r := &randomNest{Rand: rand.New(rand.NewPCG(seed, 1)), b: codegen.NewKernel(fmt.Sprint("random", seed))}
	rank := 1 + r.IntN(4)
	names := "ABCD"
	var axes []codegen.Axis
	for i := range rank {
		r.ext = append(r.ext, sym(names[i:i+1]))
		if r.IntN(5) == 0 {
			r.ext[i] = con([]int64{1, 3, 4, 8, 32}[r.IntN(5)])
		}
		axes = append(axes, codegen.Axis{Name: names[i : i+1], Extent: r.ext[i]})
	}
	r.outer = r.IntN(rank + 1)
	r.n = r.b.Nest(axes, r.outer)
	vec := []int{-1, r.outer - 1, rank - 1, rank - 1, r.outer - 1}[r.IntN(5)]
	r.n.Vec(vec)
	var pool []codegen.Val // visible everywhere
	r.n.Once()
	pool = append(pool, r.load(r.outer, nil), r.n.ConstF32(1.5), r.n.ConstI(tensor.I32, 3))
	if r.outer > 0 {
		pool = append(pool, r.n.Index(tensor.I32, r.IntN(r.outer)))
	}
	pool = append(pool, r.load(r.outer, pool))
	pool = append(pool, r.expr(pool, 3))
	if r.outer < rank {
		pool = r.looping(pool, rank, vec != r.outer-1 || r.outer == 0)
	}
	r.n.Once()
	pool = append(pool, r.expr(pool, 3))
	st, size := r.strides(r.outer, true)
	result := pool[len(pool)-1]
	y := r.declare(codegen.Output, r.n.TypeOf(result), size)
	r.n.Store(codegen.AtExpr(y, con(0), st...), result)
	return r.build(t, fmt.Sprint("random", seed))
}

// looping adds a phase with two reductions, and perhaps more that read, and
// overwrite, what it has kept.
func (r *randomNest) looping(pool []codegen.Val, rank int, rows bool) []codegen.Val {
	r.n.Loop()
	local := append(append([]codegen.Val{}, pool...), r.load(rank, nil), r.load(rank, pool), r.n.Index(tensor.I32, r.outer+r.IntN(rank-r.outer)))
	local = append(local, r.load(rank, local))
	v := r.expr(local, 1+r.IntN(8))
	w := r.expr(append(local, v), 3)
	k := r.keep(v, rank, rows)
	pool = append(pool, r.reduce(v), r.reduce(w))
	for range r.IntN(4) {
		if r.n.Once(); r.IntN(2) == 0 {
			pool = append(pool, r.expr(pool, 2))
		}
		r.n.Loop()
		mirrored := r.IntN(2) == 0
		u := r.expr(append(append([]codegen.Val{}, pool...), r.read(k, rank, mirrored), r.load(rank, nil)), 4)
		switch r.IntN(4) {
		case 0:
			k = r.keep(u, rank, rows)
		case 1, 2:
			if !mirrored { // else it would read what others write
				r.n.Store(k.at, r.n.To(codegen.Cast, codegen.ComputeType(k.dt), u))
			}
		}
		if r.IntN(2) == 0 {
			pool = append(pool, r.reduce(u))
		}
	}
	return pool
}

func (r *randomNest) reduce(x codegen.Val) codegen.Val {
	op := codegen.Max - codegen.Code(r.IntN(2))
	if r.n.TypeOf(x) == tensor.Bool {
		op = codegen.Or
	}
	return r.n.Reduce(op, x)
}

// kept is a row or an output with a value of each point.
type kept struct {
	at codegen.Access
	dt tensor.DType
}

// keep stores a value of each point to a row or an output.
func (r *randomNest) keep(v codegen.Val, rank int, rows bool) kept {
	from, kind := 0, codegen.Output
	if rows && r.IntN(2) == 0 {
		kind, from = codegen.Row, r.outer
	}
	st, size := make([]dim.Expr, len(r.ext)), con(1)
	for a := rank - 1; a >= from; a-- {
		st[a], size = size, size.Mul(r.ext[a])
	}
	dt := r.n.TypeOf(v)
	if dt == tensor.F32 && r.IntN(2) == 0 {
		dt = []tensor.DType{tensor.BF16, tensor.F16, tensor.F8E5M2}[r.IntN(3)]
	}
	if dt == tensor.I32 && r.IntN(2) == 0 {
		dt = []tensor.DType{tensor.I8, tensor.U16, tensor.U8}[r.IntN(3)]
	}
	k := kept{codegen.AtExpr(r.declare(kind, dt, size), con(0), st...), dt}
	r.n.Store(k.at, v)
	return k
}

// read loads what is kept of a point, or of the mirrored one along the last axis.
func (r *randomNest) read(k kept, rank int, mirrored bool) codegen.Val {
	if !mirrored {
		return r.n.Load(k.at)
	}
	last := append([]dim.Expr(nil), k.at.Strides...)
	last[rank-1] = con(-1)
	return r.n.Load(codegen.AtExpr(k.at.Buf, r.ext[rank-1].Sub(con(1)), last...))
}

// randomSizes draws short axes, and long ones now and then.
func randomSizes(seed uint64) map[string]int64 {
	r := rand.New(rand.NewPCG(seed, 2))
	sizes := map[string]int64{}
	for _, n := range []string{"A", "B", "C", "D"} {
		sizes[n] = int64(1 + r.IntN(5))
		if r.IntN(3) == 0 {
			sizes[n] = int64(r.IntN(40))
		}
	}
	if r.IntN(6) == 0 {
		sizes[string("ABCD"[r.IntN(4)])] = int64(100 + r.IntN(100))
	}
	return sizes
}

// TestRandomNests compares random nests with the interpreter of loop nests.
func TestRandomNests(t *testing.T) {
	count := uint64(300)
	if testing.Short() {
		count = 40
	}
	for seed := range count {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { check(t, randomKernel(t, seed), randomSizes(seed), seed, 0) })
	}
}

// TestWideIndex: kernels that compute positions in 64 bits give the same.
func TestWideIndex(t *testing.T) {
	for seed := range uint64(60) {
		legal, err := codegen.Legalize(randomKernel(t, seed), Target(false, true))
		require.NoError(t, err)
		m, err := Compile(legal, small, Options{})
		require.NoError(t, err)
		checkOn(t, forDevice(t, m), randomSizes(seed), seed, 0, 0)
	}
}

// TestUnalignedBuffers: where buffers start at a multiple of their elements' size
// only, no access is wider than that.
func TestUnalignedBuffers(t *testing.T) {
	for seed := range uint64(40) {
		checkOn(t, forDevice(t, compiled(t, randomKernel(t, seed), small, Options{})), randomSizes(seed), seed, 0, 8)
	}
}

// TestRandomRegions compares the kernels of random regions.
func TestRandomRegions(t *testing.T) {
	count := uint64(150)
	if testing.Short() {
		count = 20
	}
	for seed := range count {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 5))
			o := irgen.Options{Values: 6, Static: seed%3 == 0, Keep: func(op ir.Op) bool { return op.Row().Decompose == nil }}
			if seed%2 == 0 {
				o.DTypes = []tensor.DType{tensor.F32}
			}
			f := irgen.Func(rng, o)
			k, err := codegen.Lower(f, codegen.Options{})
			if err != nil {
				return // control flow and the like are not loops
			}
			legal, err := codegen.Legalize(k, Target(false, false))
			require.NoError(t, err)
			m, err := Compile(legal, small, Options{})
			require.NoError(t, err)
			checkOn(t, forDevice(t, m), irgen.Sizes(rng, f), elements.Moderate+seed, 1e-4, 0)
		})
	}
}

// TestCompileIsDeterministic: equal kernels give equal text.
func TestCompileIsDeterministic(t *testing.T) {
	for seed := range uint64(20) {
		k := randomKernel(t, seed)
		require.Equal(t, compiled(t, k, small, Options{}).Text(), compiled(t, k, small, Options{}).Text())
	}
}
