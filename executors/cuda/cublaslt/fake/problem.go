package fake

import (
	"math"

	"jitc/executors/cuda/cublaslt"
)

// types are the problems that there are kernels for: the element types of A and B, then
// of D.
var types = map[cublaslt.ComputeType]struct {
	scale cublaslt.DataType
	pairs [][2]cublaslt.DataType
}{
	cublaslt.ComputeF32: {cublaslt.F32, [][2]cublaslt.DataType{{cublaslt.F32, cublaslt.F32}, {cublaslt.F16, cublaslt.F16},
		{cublaslt.F16, cublaslt.F32}, {cublaslt.BF16, cublaslt.BF16}, {cublaslt.BF16, cublaslt.F32}}},
	cublaslt.ComputeTF32: {cublaslt.F32, [][2]cublaslt.DataType{{cublaslt.F32, cublaslt.F32}}},
	cublaslt.ComputeF64:  {cublaslt.F64, [][2]cublaslt.DataType{{cublaslt.F64, cublaslt.F64}}},
}

// checkTypes requires that the problem's types are among those.
func checkTypes(p *cublaslt.Problem) error {
	row, ok := types[p.Compute]
	if !ok || row.scale != p.Scale {
		return refused("Prepare", cublaslt.InvalidValue, "compute type %d with scale type %d", p.Compute, p.Scale)
	}
	if p.Bias != 0 && p.Compute == cublaslt.ComputeF64 {
		return refused("Prepare", cublaslt.NotSupported, "a bias of f64")
	}
	for _, pair := range row.pairs {
		if p.A.Type == pair[0] && p.B.Type == pair[0] && p.D.Type == pair[1] {
			return nil
		}
	}
	return refused("Prepare", cublaslt.NotSupported, "products of types %d and %d into %d", p.A.Type, p.B.Type, p.D.Type)
}

// op are the rows and columns of a matrix after its transpose.
func op(m *cublaslt.Matrix, transposed bool) (rows, cols int) {
	if transposed {
		return m.Cols, m.Rows
	}
	return m.Rows, m.Cols
}

// checkShapes requires matrices that fit each other and their memory.
func checkShapes(p *cublaslt.Problem) error {
	for _, m := range []*cublaslt.Matrix{&p.A, &p.B, &p.D} {
		switch {
		case m.Rows < 1 || m.Cols < 1 || m.Rows > math.MaxInt32 || m.Cols > math.MaxInt32:
			return refused("Prepare", cublaslt.InvalidValue, "a matrix of %d x %d", m.Rows, m.Cols)
		case m.LD < m.Rows:
			return refused("Prepare", cublaslt.InvalidValue, "a leading dimension of %d for %d rows", m.LD, m.Rows)
		case max(m.Batch, 1) != max(p.D.Batch, 1):
			return refused("Prepare", cublaslt.InvalidValue, "batches of %d and %d", m.Batch, p.D.Batch)
		case m.Alignment < 2 || m.Alignment&(m.Alignment-1) != 0:
			return refused("Prepare", cublaslt.InvalidValue, "an alignment of %d", m.Alignment)
		case m.Batch > math.MaxInt32:
			return refused("Prepare", cublaslt.InvalidValue, "a batch of %d", m.Batch)
		}
	}
	d := &p.D
	behind, between := d.Stride >= d.LD*(d.Cols-1)+d.Rows, d.Stride >= d.Rows && d.LD >= d.Stride*d.Batch
	if p.Bias&(p.Bias-1) != 0 || p.Bias != 0 && p.Bias < 16 { // the library has kernels that would fault
		return refused("Prepare", cublaslt.InvalidValue, "an alignment of %d of the bias", p.Bias)
	}
	if d.Batch > 1 && !behind && !between {
		return refused("Prepare", cublaslt.InvalidValue, "results %d apart overlap", d.Stride)
	}
	m, k := op(&p.A, p.TransA)
	k2, n := op(&p.B, p.TransB)
	if k != k2 || m != p.D.Rows || n != p.D.Cols {
		return refused("Prepare", cublaslt.InvalidValue, "a product of %d x %d and %d x %d into %d x %d", m, k, k2, n, p.D.Rows, p.D.Cols)
	}
	return nil
}

func (l *Library) Prepare(h cublaslt.Handle, p *cublaslt.Problem) (*cublaslt.Product, []cublaslt.Algorithm, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.begin("Prepare"); err != nil {
		return nil, nil, err
	}
	if err := l.usable("Prepare", h); err != nil {
		return nil, nil, err
	}
	l.last = *p
	if err := checkShapes(p); err != nil {
		return nil, nil, err
	}
	x := &cublaslt.Product{Problem: *p}
	l.products[x] = true
	if checkTypes(p) != nil { // the heuristic finds nothing
		return x, nil, nil
	}
	return x, l.algorithms(p), nil
}

// magic is the first word of an algorithm; the second is its reduction.
const magic = 0xA160_0001

// algorithms are those that the problem allows, the best first.
func (l *Library) algorithms(p *cublaslt.Problem) (out []cublaslt.Algorithm) {
	add := func(r cublaslt.Reduction, workspace int) {
		if workspace <= p.Workspace && len(out) < p.Choices {
			out = append(out, cublaslt.Algorithm{Words: [8]uint64{magic, uint64(r)}, Workspace: workspace, Waves: 1})
		}
	}
	for _, r := range []cublaslt.Reduction{cublaslt.OutputType, cublaslt.InPlace, cublaslt.InCompute} {
		if l.cfg.Workspace > 0 && p.Reductions&r != 0 {
			add(r, l.cfg.Workspace)
		}
	}
	add(0, 0)
	return out
}

// checkRun requires addresses that keep what the problem promised, and an algorithm of
// this library's.
func checkRun(p *cublaslt.Problem, a *cublaslt.Algorithm, o cublaslt.Operands) error {
	if a.Words[0] != magic {
		return refused("Multiply", cublaslt.InvalidValue, "the algorithm is none that the heuristic gave")
	}
	for _, x := range []struct {
		at uintptr
		of *cublaslt.Matrix
	}{{uintptr(o.A), &p.A}, {uintptr(o.B), &p.B}, {uintptr(o.D), &p.D}} {
		if x.at == 0 || x.at%uintptr(x.of.Alignment) != 0 {
			return refused("Multiply", cublaslt.InvalidValue, "an operand at %#x, need a multiple of %d", x.at, x.of.Alignment)
		}
	}
	if at := uintptr(o.Bias); p.Bias != 0 && (at == 0 || at%uintptr(p.Bias) != 0) {
		return refused("Multiply", cublaslt.InvalidValue, "a bias at %#x, need a multiple of %d", at, p.Bias)
	}
	if at := uintptr(o.Workspace); a.Workspace > 0 && (at == 0 || at%256 != 0) {
		return refused("Multiply", cublaslt.InvalidValue, "a workspace at %#x", at)
	}
	return nil
}
