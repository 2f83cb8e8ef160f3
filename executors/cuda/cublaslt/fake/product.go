package fake

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"jitc/executors/cuda/cublaslt"
	"jitc/executors/cuda/driver"
	driverfake "jitc/executors/cuda/driver/fake"
	"jitc/ir/tensor"
)

// dtypes are the element types.
var dtypes = map[cublaslt.DataType]tensor.DType{cublaslt.F32: tensor.F32, cublaslt.F64: tensor.F64,
	cublaslt.F16: tensor.F16, cublaslt.BF16: tensor.BF16}

// piece is work that takes place on the device.
type piece = func(m driverfake.Memory) error

// pieces are the work of a product, in order.
func (l *Library) pieces(x *cublaslt.Product, a *cublaslt.Algorithm, o cublaslt.Operands) (out []piece) {
	p := x.Problem
	compute := func(m driverfake.Memory) error { return multiply(&p, o, m) }
	if a.Workspace > 0 {
		mark := bytes.Repeat([]byte{byte(o.D >> 8), 0xC3}, a.Workspace/2)
		out = append(out, func(m driverfake.Memory) error { return m.Write(o.Workspace, mark) },
			func(m driverfake.Memory) error {
				if err := holds(m, o.Workspace, mark); err != nil {
					return err
				}
				return compute(m)
			})
	} else {
		out = append(out, compute)
	}
	if l.cfg.Nodes != nil {
		for len(out) < l.cfg.Nodes(o) {
			out = append(out, func(driverfake.Memory) error { return nil })
		}
	}
	return out
}

// holds requires that the workspace is as the first piece of work has left it.
func holds(m driverfake.Memory, at driver.Ptr, want []byte) error {
	got := make([]byte, len(want))
	if err := m.Read(got, at); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return errors.New("the workspace was written by others while a product was computed")
	}
	return nil
}

// matrix is the elements of an operand.
type matrix struct {
	*cublaslt.Matrix
	transposed bool
	elements   []float64
}

// at is element (i, j) of matrix b after the transpose.
func (x *matrix) at(b, i, j int) float64 {
	if x.transposed {
		i, j = j, i
	}
	return x.elements[b*x.Stride+j*x.LD+i]
}

// read brings an operand to the host.
func read(m driverfake.Memory, x *cublaslt.Matrix, transposed bool, from driver.Ptr) (*matrix, error) {
	dt := dtypes[x.Type]
	n := (max(x.Batch, 1)-1)*x.Stride + (x.Cols-1)*x.LD + x.Rows
	mem := make([]byte, n*dt.Size())
	if err := m.Read(mem, from); err != nil {
		return nil, err
	}
	t, err := tensor.FromBytes(dt, []int{n}, mem)
	if err != nil {
		return nil, err
	}
	return &matrix{x, transposed, tensor.Floats(t)}, nil
}

// multiply computes the product, a column of the result at a time.
func multiply(p *cublaslt.Problem, o cublaslt.Operands, m driverfake.Memory) error {
	a, err := read(m, &p.A, p.TransA, o.A)
	if err != nil {
		return fmt.Errorf("operand A: %w", err)
	}
	b, err := read(m, &p.B, p.TransB, o.B)
	if err != nil {
		return fmt.Errorf("operand B: %w", err)
	}
	bias := &matrix{elements: make([]float64, p.D.Rows)}
	if p.Bias != 0 {
		if bias, err = read(m, &cublaslt.Matrix{Type: p.D.Type, Rows: p.D.Rows, Cols: 1}, false, o.Bias); err != nil {
			return fmt.Errorf("the bias: %w", err)
		}
	}
	if p.Compute == cublaslt.ComputeTF32 {
		roundAll(a.elements)
		roundAll(b.elements)
	}
	_, k := op(&p.A, p.TransA)
	column := make([]float64, p.D.Rows)
	size := dtypes[p.D.Type].Size()
	for batch := range max(p.D.Batch, 1) {
		for j := range p.D.Cols {
			for i := range column {
				column[i] = bias.elements[i]
				for e := range k {
					column[i] += a.at(batch, i, e) * b.at(batch, e, j)
				}
			}
			data, _ := tensor.FromFloats(dtypes[p.D.Type], []int{len(column)}, column).Bytes()
			if err := m.Write(o.D+driver.Ptr((batch*p.D.Stride+j*p.D.LD)*size), data); err != nil {
				return fmt.Errorf("the result: %w", err)
			}
		}
	}
	return nil
}

// roundAll rounds f32 numbers to TF32's ten bits behind the first, half away from zero.
func roundAll(xs []float64) {
	for i, x := range xs {
		bits := math.Float32bits(float32(x))
		if bits&0x7F80_0000 != 0x7F80_0000 { // neither infinite nor NaN
			bits = (bits + 0x1000) &^ 0x1FFF
		}
		xs[i] = float64(math.Float32frombits(bits))
	}
}
