//go:build unix && amd64

package x64

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/codegen/internal/kernels"
	"jitc/codegen/x64/asm"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// TestSpills has far more values alive than registers, vectors and masks, with
// every number of copies.
func TestSpills(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.F64, tensor.I32} {
		k := kernels.Pointwise(t, "wide", []tensor.DType{dt, dt}, dt, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val {
			var vs, ms []codegen.Val
			for i := range 40 {
				c := n.ConstBits(dt, constBits(dt, i+1))
				vs = append(vs, n.Op(codegen.Add, n.Op(codegen.Mul, a[0], c), a[1]))
				ms = append(ms, n.Op(codegen.Lt, vs[i], a[i%2]))
			}
			acc := a[0]
			for i := range vs {
				v := n.Op(codegen.Select, ms[(i*7)%40], vs[39-i], vs[(i*11)%40])
				acc = n.Op(codegen.Sub, v, acc)
			}
			return acc
		})
		for _, u := range []int{0, 1, 2, 4} {
			for name, f := range targets(t) {
				c := compileKernel(t, k, f, Options{Unroll: u})
				require.Positive(t, c.codes[0].Stats.Spills)
				checkTarget(t, name, c, map[string]int64{"N": 203}, 9, 0)
			}
		}
	}
}

func constBits(dt tensor.DType, i int) uint64 {
	if dt.IsFloat() {
		return codegenFloat(dt, float64(i)/8)
	}
	return uint64(i)
}

func codegenFloat(dt tensor.DType, x float64) uint64 {
	b := codegen.NewKernel("c")
	n := b.Nest(nil, 0).Vec(-1)
	n.Once()
	v := n.ConstF(dt, x)
	return n.Nest().Insts[v].Imm
}

// randomNest builds nests of random shape: loops, phases, types, strides, masks
// and reductions that do not depend on order.
type randomNest struct {
	*rand.Rand
	b     *codegen.KernelBuilder
	n     *codegen.NestBuilder
	ext   []dim.Expr
	outer int
	vec   int
	outs  int
}

func (r *randomNest) dtype() tensor.DType {
	all := []tensor.DType{tensor.F32, tensor.F32, tensor.F64, tensor.I32, tensor.I64, tensor.U32, tensor.BF16, tensor.F16, tensor.I8, tensor.U16, tensor.Bool}
	return all[r.IntN(len(all))]
}

// strides is a row-major walk over a random subset of the first rank axes, in a
// random order; all of them if full.
func (r *randomNest) strides(rank int, full bool) ([]dim.Expr, dim.Expr) {
	out := make([]dim.Expr, len(r.ext))
	size := con(1)
	order := r.Perm(rank)
	if r.IntN(2) == 0 { // contiguous in the last axis
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
		b := r.cast(pool[r.IntN(len(pool))], t)
		c := r.cast(pool[r.IntN(len(pool))], tensor.Bool)
		var v codegen.Val
		switch ops := r.ops(t); r.IntN(6) {
		case 0:
			v = r.n.Op(codegen.Select, c, a, b)
		case 1:
			v = r.n.Op(codegen.Eq+codegen.Code(r.IntN(6)), a, b)
		case 2:
			if t == tensor.F32 || t == tensor.F64 {
				v = r.n.Op(codegen.FMA+codegen.Code(r.IntN(2)), a, b, r.cast(pool[r.IntN(len(pool))], t))
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

func (r *randomNest) ops(t tensor.DType) []codegen.Code {
	switch {
	case t == tensor.Bool:
		return []codegen.Code{codegen.And, codegen.Or, codegen.Xor}
	case t.IsFloat():
		return []codegen.Code{codegen.Add, codegen.Sub, codegen.Mul, codegen.Min, codegen.Max, codegen.Div}
	}
	return []codegen.Code{codegen.Add, codegen.Sub, codegen.Mul, codegen.Min, codegen.Max, codegen.And, codegen.Xor, codegen.Shl, codegen.Div, codegen.Rem}
}

// cast converts where both targets can.
func (r *randomNest) cast(v codegen.Val, t tensor.DType) codegen.Val {
	from := r.n.TypeOf(v)
	if row := castRows[kindOf(from)][kindOf(t)]; row.half {
		v = r.n.To(codegen.Cast, tensor.Bool, v)
	}
	return r.n.To(codegen.Cast, t, v)
}

// load reads a fresh input, with a data-dependent index from pool now and then.
func (r *randomNest) load(rank int, pool []codegen.Val) codegen.Val {
	st, size := r.strides(rank, false)
	off := int64(r.IntN(3))
	var dyn []codegen.Dyn
	for len(pool) > 0 && r.IntN(4) == 0 {
		index := r.cast(pool[r.IntN(len(pool))], []tensor.DType{tensor.I32, tensor.I64}[r.IntN(2)])
		limit := int64(1 + r.IntN(5))
		dyn = append(dyn, codegen.Dyn{Val: index, Limit: con(limit), Stride: size})
		size = size.Mul(con(limit))
	}
	buf := r.b.Buffer(codegen.Input, fmt.Sprint("x", r.outs), r.dtype(), size.Add(con(off)))
	r.outs++
	a := codegen.AtExpr(buf, con(off), st...)
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
	return r.n.Load(a)
}

// randomKernel has a phase that runs once, a looping one with two reductions if
// there are inner axes, and a last one that stores.
func randomKernel(t *testing.T, seed uint64) *codegen.Kernel {
	r := &randomNest{Rand: rand.New(rand.NewPCG(seed, 1)), b: codegen.NewKernel(fmt.Sprint("random", seed))}
	rank := 1 + r.IntN(4)
	names := "ABCD"
	for i := range rank {
		r.ext = append(r.ext, sym(names[i:i+1]))
	}
	r.outer = r.IntN(rank + 1)
	r.n = r.b.Nest(axes("abcd", r.ext...), r.outer)
	r.vec = []int{-1, r.outer - 1, rank - 1, rank - 1, r.outer - 1}[r.IntN(5)]
	r.n.Vec(r.vec)
	var pool []codegen.Val // visible everywhere
	r.n.Once()
	pool = append(pool, r.load(r.outer, nil), r.n.ConstF32(1.5), r.n.ConstI(tensor.I32, 3))
	if r.outer > 0 {
		pool = append(pool, r.n.Index(tensor.I32, r.IntN(r.outer)))
	}
	pool = append(pool, r.load(r.outer, pool))
	pool = append(pool, r.expr(pool, 3))
	if r.outer < rank {
		r.n.Loop()
		local := append(append([]codegen.Val{}, pool...), r.load(rank, nil), r.load(rank, pool), r.n.Index(tensor.I32, r.outer+r.IntN(rank-r.outer)))
		local = append(local, r.load(rank, local))
		v := r.expr(local, 1+r.IntN(8))
		w := r.expr(append(local, v), 3)
		for _, x := range []codegen.Val{v, w} {
			op := codegen.Max - codegen.Code(r.IntN(2))
			if r.n.TypeOf(x) == tensor.Bool {
				op = codegen.Or
			}
			pool = append(pool, r.n.Reduce(op, x))
		}
	}
	r.n.Once()
	pool = append(pool, r.expr(pool, 3))
	st, size := r.strides(r.outer, true)
	result := pool[len(pool)-1]
	y := r.b.Buffer(codegen.Output, "y", r.n.TypeOf(result), size)
	r.n.Store(codegen.AtExpr(y, con(0), st...), result)
	return build(t, r.b)
}

// TestRandomNests compares random nests with the interpreter.
func TestRandomNests(t *testing.T) {
	count := uint64(400)
	if testing.Short() {
		count = 50
	}
	for seed := range count {
		k := randomKernel(t, seed)
		r := rand.New(rand.NewPCG(seed, 2))
		sizes := map[string]int64{}
		for _, n := range []string{"A", "B", "C", "D"} {
			sizes[n] = int64(1 + r.IntN(5))
			if r.IntN(3) == 0 {
				sizes[n] = int64(r.IntN(40))
			}
		}
		unroll := []int{0, 0, 1, 2, 4}[r.IntN(5)]
		t.Run(fmt.Sprint(seed), func(t *testing.T) { check(t, k, sizes, seed, 0, Options{Unroll: unroll}) })
	}
}

// TestCompileIsDeterministic: equal nests give equal bytes.
func TestCompileIsDeterministic(t *testing.T) {
	f := asm.Features{AVX2: true, FMA: true, F16C: true, BMI2: true, AVX512: true}
	for seed := range uint64(20) {
		k, err := codegen.Legalize(randomKernel(t, seed), Target(f, false))
		require.NoError(t, err)
		a, err := Compile(k, k.Steps[0].Nest, f, Options{})
		require.NoError(t, err)
		b, err := Compile(k, k.Steps[0].Nest, f, Options{})
		require.NoError(t, err)
		require.Equal(t, a.Bytes, b.Bytes)
	}
}
