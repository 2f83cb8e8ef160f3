package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// randomNest builds nests of random axes, phases, types, strides, masks and
// reductions that do not depend on order.
type randomNest struct {
	*rand.Rand
	o     Options
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

func (r *randomNest) build(t testing.TB, name string) *codegen.Kernel {
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
	size := dim.Const(1)
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
		b := r.cast(t, pool[r.IntN(len(pool))])
		c := r.cast(tensor.Bool, pool[r.IntN(len(pool))])
		var v codegen.Val
		switch ops := r.ops(t); r.IntN(8) {
		case 0:
			v = r.n.Op(codegen.Select, c, a, b)
		case 1:
			v = r.n.Op(codegen.Eq+codegen.Code(r.IntN(6)), a, b)
		case 2:
			if t.IsFloat() {
				v = r.n.Op(codegen.FMA+codegen.Code(r.IntN(2)), a, b, r.cast(t, pool[r.IntN(len(pool))]))
				break
			}
			fallthrough
		case 3:
			if narrow := narrower[t]; len(narrow) > 0 {
				v = r.n.RoundTo(narrow[r.IntN(len(narrow))], a)
				break
			}
			fallthrough
		default:
			v = r.n.Op(ops[r.IntN(len(ops))], a, b)
		}
		pool = append(pool, v)
	}
	return pool[len(pool)-1]
}

// cast converts, by way of bool where the target cannot at once.
func (r *randomNest) cast(t tensor.DType, v codegen.Val) codegen.Val {
	if r.o.Converts != nil && !r.o.Converts(r.n.TypeOf(v), t) {
		v = r.n.To(codegen.Cast, tensor.Bool, v)
	}
	return r.n.To(codegen.Cast, t, v)
}

// narrower are types to which values can be rounded.
var narrower = map[tensor.DType][]tensor.DType{
	tensor.F32: {tensor.BF16, tensor.F16, tensor.F8E4M3, tensor.F8E5M2},
	tensor.I32: {tensor.I8, tensor.U8, tensor.I16, tensor.U16},
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

// load reads a fresh input; now and then backwards, every other element, at an
// index or under a condition from pool.
func (r *randomNest) load(rank int, pool []codegen.Val) codegen.Val {
	st, size := r.strides(rank, false)
	off := int64(r.IntN(3) * r.IntN(2))
	var dyn []codegen.Dyn
	for len(pool) > 0 && r.IntN(4) == 0 {
		index := r.cast([]tensor.DType{tensor.I32, tensor.I64}[r.IntN(2)], pool[r.IntN(len(pool))])
		limit := int64(1 + r.IntN(5))
		dyn = append(dyn, codegen.Dyn{Val: index, Limit: dim.Const(limit), Stride: size})
		size = size.Mul(dim.Const(limit))
	}
	a := codegen.AtExpr(-1, dim.Const(off), st...)
	a.Dyn = dyn
	if r.IntN(8) == 0 && rank > 0 {
		ax := r.IntN(rank)
		a.Offset, a.Strides[ax] = a.Offset.Add(st[ax].Mul(r.ext[ax].Sub(dim.Const(1)))), st[ax].Neg()
		st = make([]dim.Expr, len(r.ext)) // masks would not be within the buffer
	} else if r.IntN(8) == 0 {
		for ax := range a.Strides {
			a.Strides[ax] = a.Strides[ax].Mul(dim.Const(2))
		}
		for i := range a.Dyn {
			a.Dyn[i].Stride = a.Dyn[i].Stride.Mul(dim.Const(2))
		}
		size = size.Mul(dim.Const(2))
	}
	for ax := range rank { // a mask on one axis, which shifts it
		if r.IntN(6) == 0 && r.IntN(2) == 0 {
			a.Offset = a.Offset.Sub(st[ax])
			coef := make([]dim.Expr, len(r.ext))
			coef[ax] = dim.Const(1)
			a.Masks = append(a.Masks, codegen.Mask{Offset: dim.Const(-1), Coef: coef, Limit: r.ext[ax], Stride: st[ax]})
			break
		}
	}
	a.Buf = r.declare(codegen.Input, r.dtype(), size.Add(dim.Const(off)))
	if len(pool) > 0 && r.IntN(6) == 0 {
		return r.n.LoadIf(a, r.cast(tensor.Bool, pool[r.IntN(len(pool))]))
	}
	return r.n.Load(a)
}

// Options are what a target does not do.
type Options struct {
	Converts func(from, to tensor.DType) bool // between compute types; nil: all
}

// Random is a kernel of one nest: a phase that runs once; if there are inner axes, a
// looping one with two reductions, and perhaps more, with rows; and a last one that
// stores. Its results do not depend on the order of reductions. Sizes has sizes for
// its symbols.
func Random(t testing.TB, seed uint64, o Options) *codegen.Kernel {
	t.Helper()
	r := &randomNest{Rand: rand.New(rand.NewPCG(seed, 1)), o: o, b: codegen.NewKernel(fmt.Sprint("random", seed))}
	rank := 1 + r.IntN(4)
	names := "ABCD"
	var axes []codegen.Axis
	for i := range rank {
		r.ext = append(r.ext, dim.Sym(names[i:i+1]))
		if r.IntN(5) == 0 {
			r.ext[i] = dim.Const([]int64{1, 3, 4, 8, 32}[r.IntN(5)])
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
	r.n.Store(codegen.AtExpr(y, dim.Const(0), st...), result)
	if r.IntN(4) == 0 {
		r.n.StoreIf(codegen.AtExpr(y, dim.Const(0), st...), r.cast(r.n.TypeOf(result), pool[r.IntN(len(pool))]), r.cast(tensor.Bool, pool[r.IntN(len(pool))]))
	}
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
				r.n.Store(k.at, r.cast(codegen.ComputeType(k.dt), u))
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
	st, size := make([]dim.Expr, len(r.ext)), dim.Const(1)
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
	k := kept{codegen.AtExpr(r.declare(kind, dt, size), dim.Const(0), st...), dt}
	r.n.Store(k.at, v)
	return k
}

// read loads what is kept of a point, or of the mirrored one along the last axis.
func (r *randomNest) read(k kept, rank int, mirrored bool) codegen.Val {
	if !mirrored {
		return r.n.Load(k.at)
	}
	last := append([]dim.Expr(nil), k.at.Strides...)
	last[rank-1] = dim.Const(-1)
	return r.n.Load(codegen.AtExpr(k.at.Buf, r.ext[rank-1].Sub(dim.Const(1)), last...))
}

// Sizes draws short axes, and long ones now and then.
func Sizes(seed uint64) map[string]int64 {
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
