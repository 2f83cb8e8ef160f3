package cublas

import (
	"errors"
	"fmt"
	"math"

	"jitc/executors/cuda/cublaslt"
	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// kind is a row of the products that the library computes as the op's definition says:
// sums in f32 (f64), rounded once.
//
// What the library is faster by must pay for writing the product and reading it back,
// since whatever follows is no longer fused with it, but for a bias. With K contracted,
// a share s of the time saved, p operations per byte that the device moves, and b bytes
// per element, that is so from
//
//	s * 2 K / p  >  2 b    K  >  b p / s
//
// on. least is about that K for s = 1/8 and what p is of compute capability 9.0: 250
// operations of tensor cores per byte for 16-bit operands, 20 for the others.
type kind struct {
	in, out tensor.DType
	compute cublaslt.ComputeType
	fast    cublaslt.ComputeType // under executors.Options.FastMath
	scale   cublaslt.DataType
	bias    bool  // there are kernels that add one
	least   int64 // contracted elements
}

var kinds = []kind{
	{tensor.BF16, tensor.BF16, cublaslt.ComputeF32, cublaslt.ComputeF32, cublaslt.F32, true, 4096},
	{tensor.F16, tensor.F16, cublaslt.ComputeF32, cublaslt.ComputeF32, cublaslt.F32, true, 4096},
	{tensor.BF16, tensor.F32, cublaslt.ComputeF32, cublaslt.ComputeF32, cublaslt.F32, false, 8192},
	{tensor.F16, tensor.F32, cublaslt.ComputeF32, cublaslt.ComputeF32, cublaslt.F32, false, 8192},
	{tensor.F32, tensor.F32, cublaslt.ComputeF32, cublaslt.ComputeTF32, cublaslt.F32, true, 512},
	{tensor.F64, tensor.F64, cublaslt.ComputeF64, cublaslt.ComputeF64, cublaslt.F64, false, 1024},
}

// Beside that the library is ahead of others where there are tiles enough of the result
// for all multiprocessors, and whole ones.
const (
	leastSide    = 512     // rows and columns
	leastResults = 1 << 20 // elements of the result, of all matrices together
)

// kindOf is the row of a product.
func kindOf(v *ir.Value) (*kind, error) {
	in, out := v.Args[0].Type.DType, v.Type.DType
	for i := range kinds {
		if kinds[i].in == in && kinds[i].out == out {
			return &kinds[i], nil
		}
	}
	return nil, fmt.Errorf("no product of %s into %s", in, out)
}

// claim takes what the library computes, if it is large or o.Any is set.
func claim(v *ir.Value, o Options) fusion.Claim {
	if roleRules[v.Op] == nil && v.Op.Composite() {
		return fusion.Claim{Level: fusion.Refused, Why: errDecomposed.Error()}
	}
	p, err := productOf(v)
	if err == nil && !o.Any {
		err = p.worth()
	}
	if err != nil {
		return fusion.Claim{Level: fusion.Refused, Why: err.Error(), Obvious: errors.Is(err, errNoProduct)}
	}
	return fusion.Claim{Level: fusion.Strided}
}

// worth says why a product is better left to an executor that fuses.
func (p *product) worth() error {
	if err := p.large(); err != nil {
		return err
	}
	return p.plain()
}

// large says what of a product is too small, or not known to be large: of sizes that
// are symbols only that they are not 0.
func (p *product) large() error {
	outputs := p.batch.Mul(p.m).Mul(p.n)
	for _, s := range []struct {
		what string
		size dim.Expr
		need int64
	}{{"rows", p.m, leastSide}, {"columns", p.n, leastSide}, {"contracted elements", p.k, p.kind.least}, {"results", outputs, leastResults}} {
		n, known := atLeast(s.size)
		if n >= s.need {
			continue
		}
		has := fmt.Sprint(n)
		if !known {
			has = fmt.Sprintf("%s, which may be %d", s.size, n)
		}
		return fmt.Errorf("too small to be worth a kernel that fuses nothing: %d %s needed, it has %s", s.need, s.what, has)
	}
	return nil
}

// plain says if the tensors of the product, contiguous as they are unless they are read
// through views, are no matrices. Which axes lie together does not depend on sizes, so
// that any will do.
func (p *product) plain() error {
	env := map[string]int64{}
	for _, e := range []dim.Expr{p.batch, p.m, p.n, p.k} {
		for _, s := range e.Syms() {
			env[s] = typicalSize
		}
	}
	at, err := p.places(env)
	if err != nil {
		return fmt.Errorf("its sizes are not known: %w", err)
	}
	if _, err := p.problem(at, false); err != nil {
		return errors.New("its batch, free or contracted axes lie apart in memory: they make no matrices")
	}
	return nil
}

// typicalSize stands for a size that is a symbol.
const typicalSize = 1 << 10

// atLeast is a lower bound of a size where nothing has the size 0; known says that it
// is the size.
func atLeast(e dim.Expr) (n int64, known bool) {
	if n, ok := e.Const(); ok {
		return n, true
	}
	f := dim.NewFacts()
	for _, s := range e.Syms() {
		if f.Declare(s, 1, math.MaxInt32) != nil {
			return 0, false
		}
	}
	lo, _ := f.Range(e)
	return max(lo, 0), false
}
