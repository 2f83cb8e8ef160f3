package cublas

import (
	"errors"
	"math"

	"jitc/executors"
	"jitc/executors/cuda/cublaslt"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// dataTypes are the library's names of element types.
var dataTypes = map[tensor.DType]cublaslt.DataType{tensor.F32: cublaslt.F32, tensor.F64: cublaslt.F64,
	tensor.F16: cublaslt.F16, tensor.BF16: cublaslt.BF16}

const (
	alignment = 16       // bytes, of buffers as cuda.Work.Queue gets them
	workspace = 32 << 20 // bytes: as much as the library recommends for its fastest kernels
	choices   = 8
)

// errNotForLibrary says that a product is none of the library's at these sizes.
var errNotForLibrary = errors.New("not a product of matrices in memory, of sizes that the library takes")

// call is a problem, and which tensors are its operands.
type call struct {
	cublaslt.Problem
	a, b int // lhs and rhs, or the other way round
}

// sizesOf evaluates the product's sizes; empty says that there is nothing to compute.
func (p *product) sizesOf(env map[string]int64) (empty bool, err error) {
	for _, e := range []dim.Expr{p.batch, p.m, p.n} {
		n, err := e.Eval(env)
		if err != nil {
			return false, err
		}
		empty = empty || n == 0
	}
	return empty, nil
}

// problem is the library's problem for tensors that lie at places, and are not empty.
// Where the columns of the result are neighbours, as in row-major order, it is the
// product of the transposes, with the second operand first:
//
//	out' (n x m)  =  rhs' (n x k)  lhs' (k x m)
func (p *product) problem(at places, fast bool) (*call, error) {
	x, ok := p.layout(at)
	if !ok || x.k.size == 0 {
		return nil, errNotForLibrary
	}
	c := &call{a: rhs, b: lhs, Problem: cublaslt.Problem{Compute: p.compute, Scale: p.scale,
		Workspace: workspace, Reductions: cublaslt.InCompute, Choices: choices}}
	if fast {
		c.Compute = p.fast
	}
	rows, cols := x.n, x.m
	if x.n.size > 1 && x.n.strides[out] != 1 {
		c.a, c.b = lhs, rhs
		rows, cols = x.m, x.n
	}
	var fits [3]bool
	var turned bool
	c.D, turned, fits[out] = matrix(out, rows, cols, x.batch)
	c.A, c.TransA, fits[0] = matrix(c.a, rows, x.k, x.batch)
	c.B, c.TransB, fits[1] = matrix(c.b, x.k, cols, x.batch)
	if turned || fits != [3]bool{true, true, true} {
		return nil, errNotForLibrary
	}
	c.A.Type, c.B.Type, c.D.Type = dataTypes[p.in], dataTypes[p.in], dataTypes[p.out]
	c.A.Alignment, c.B.Alignment = alignmentAt(at[c.a].Offset*p.in.Size()), alignmentAt(at[c.b].Offset*p.in.Size())
	c.D.Alignment = alignment
	return c, p.addBias(c, &at[bias])
}

// addBias has the bias added, which is one of the rows: of the columns of a row-major
// result. The library can be told how the matrices are aligned, but not how a bias is,
// and has kernels that fault where it is aligned to less than 16 bytes.
func (p *product) addBias(c *call, at *executors.Strided) error {
	if p.bias == nil {
		return nil
	}
	if c.a != rhs || at.Shape[0] > 1 && at.Strides[0] != 1 {
		return errNotForLibrary
	}
	if c.Bias = alignmentAt(at.Offset * p.out.Size()); c.Bias < alignment {
		return errNotForLibrary
	}
	return nil
}

// matrix is tensor t as a column-major matrix in memory; transposed says that its rows
// there are cols, for it is those that are neighbours. Every size must be one that the
// library takes, and no two columns may meet.
func matrix(t int, rows, cols, batch axis) (m cublaslt.Matrix, transposed, ok bool) {
	if transposed = rows.size > 1 && rows.strides[t] != 1; transposed {
		rows, cols = cols, rows
	}
	m = cublaslt.Matrix{Rows: rows.size, Cols: cols.size, LD: cols.strides[t], Batch: batch.size, Stride: batch.strides[t]}
	if m.Cols == 1 { // there is no next column
		m.LD = m.Rows
	}
	neighbours := rows.size == 1 || rows.strides[t] == 1
	return m, transposed, neighbours && m.LD >= m.Rows && m.Stride >= 0 && max(m.Rows, m.Cols, m.LD, m.Batch) <= math.MaxInt32
}

// alignmentAt is the alignment of an address so many bytes into a buffer.
func alignmentAt(offset int) int {
	if offset == 0 {
		return alignment
	}
	return min(alignment, offset&-offset)
}
