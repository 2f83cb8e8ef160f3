package cublas

import (
	"errors"
	"fmt"
	"slices"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/dim"
)

// product is a dot_general, or a linear layer with its bias, of types that the library
// has, with its axes by their role.
type product struct {
	*kind
	v                            *ir.Value
	batch, m, n, k               dim.Expr
	batchAxes, freeAxes, contras [2][]int64 // of the operands; batch and contracted ones in pairs
	bias                         *ir.Value  // [n], added before the result is rounded; nil: none
}

// errNoProduct is of whatever the library has nothing to do with.
var errNoProduct = errors.New("not a product")

// productOf is the product that v computes. The error says why the library does not.
func productOf(v *ir.Value) (*product, error) {
	roles := roleRules[v.Op]
	if roles == nil {
		return nil, errNoProduct
	}
	p := &product{v: v}
	var err error
	if p.kind, err = kindOf(v); err != nil {
		return nil, err
	}
	if err := roles(p); err != nil {
		return nil, err
	}
	for i := range p.freeAxes {
		for a := range int64(v.Args[i].Type.Rank()) {
			if !slices.Contains(p.batchAxes[i], a) && !slices.Contains(p.contras[i], a) {
				p.freeAxes[i] = append(p.freeAxes[i], a)
			}
		}
	}
	lhs, rhs := v.Args[0].Type.Shape, v.Args[1].Type.Shape
	p.batch, p.k = sizeOf(lhs, p.batchAxes[0]), sizeOf(lhs, p.contras[0])
	p.m, p.n = sizeOf(lhs, p.freeAxes[0]), sizeOf(rhs, p.freeAxes[1])
	return p, nil
}

// roleRules find the batch and contracted axes of a product, and its bias.
var roleRules = map[ir.Op]func(p *product) error{
	ir.OpDotGeneral: func(p *product) error {
		for i, side := range []string{"lhs", "rhs"} {
			p.batchAxes[i], p.contras[i] = p.v.Attrs.Ints(side+"_batch"), p.v.Attrs.Ints(side+"_contract")
		}
		return nil
	},
	ir.OpLinear: func(p *product) error {
		if len(p.v.Args) == 2 {
			return errDecomposed // into a product, and nothing else
		}
		if !p.kind.bias {
			return fmt.Errorf("%w: no bias of %s", errDecomposed, p.out)
		}
		p.bias = p.v.Args[2]
		p.contras = [2][]int64{{int64(p.v.Args[0].Type.Rank() - 1)}, {0}}
		if p.v.Attrs.Bool("transposed", true) {
			p.contras[1][0] = 1
		}
		return nil
	},
}

// errDecomposed is of composites whose parts the library may compute.
var errDecomposed = errors.New("computed through its decomposition")

// productIn is the product of a region that holds nothing else but views, or nil.
func productIn(region *ir.Func) *ir.Value {
	if len(region.Results) != 1 {
		return nil
	}
	found := region.Results[0]
	for found.Is(ir.View) {
		found = found.Args[0]
	}
	for _, v := range region.Values {
		if v != found && !v.Is(ir.View) {
			return nil
		}
	}
	return found
}

// sizeOf is the number of elements of axes.
func sizeOf(shape []dim.Expr, axes []int64) dim.Expr {
	n := dim.Const(1)
	for _, a := range axes {
		n = n.Mul(shape[a])
	}
	return n
}

// The tensors of a product.
const (
	lhs = iota
	rhs
	out
	bias // where there is one
)

// places are where the tensors lie at concrete sizes.
type places [4]executors.Strided

// placesIn are those in a region: operands that are views of parameters, and a result
// of which the region's is a view.
func (p *product) placesIn(region *ir.Func, env map[string]int64) (at places, err error) {
	for i, x := range p.v.Args {
		s, ok, err := executors.StridesOf(x, env)
		if err != nil {
			return at, err
		}
		if !ok || s.Root.Op != ir.OpParam {
			return at, errNotForLibrary
		}
		at[[]int{lhs, rhs, bias}[i]] = s
	}
	s, ok, err := executors.StridesInto(region.Results[0], p.v, env)
	if err == nil && !ok {
		err = errNotForLibrary
	}
	at[out] = s
	return at, err
}

// places are those of contiguous tensors.
func (p *product) places(env map[string]int64) (at places, err error) {
	for i, x := range []*ir.Value{p.v.Args[0], p.v.Args[1], p.v, p.bias} {
		if x == nil {
			continue
		}
		shape, err := ir.EvalShape(x.Type.Shape, env)
		if err != nil {
			return at, err
		}
		at[i] = executors.InOrder(x, shape)
	}
	return at, nil
}
