package trace

import (
	"fmt"

	"jitc/ir"
)

// Scatters write what gathers read: IndexCopy and its kind are Take's twins, for
// whole slices; Scatter and its kind are Gather's, for single elements. Updates that
// meet in one element take effect in row-major order; the last one copied stays.

// combines are the reductions of IndexReduce and ScatterReduce.
var combines = map[string]string{"sum": "add", "prod": "mul", "amin": "min", "amax": "max"}

// IndexCopy is t with its slices at integer indices of an axis, clamped into it,
// replaced by those of source, which has the sizes of t.Take(axis, indices).
func (t *Tensor) IndexCopy(axis int, indices, source *Tensor) *Tensor {
	return t.index("IndexCopy", axis, indices, source, "set")
}

// IndexAdd is t with source added at integer indices of an axis; see IndexCopy.
// Floats narrower than f32 are added in f32.
func (t *Tensor) IndexAdd(axis int, indices, source *Tensor) *Tensor {
	return t.index("IndexAdd", axis, indices, source, "add")
}

// IndexReduce is IndexAdd with another reduction than a sum: "sum", "prod", "amin" or
// "amax", which t's own elements take part in.
func (t *Tensor) IndexReduce(axis int, indices, source *Tensor, reduction string) *Tensor {
	combine, err := combineOf("IndexReduce", reduction)
	if err != nil {
		return failedHere(err)
	}
	return t.index("IndexReduce", axis, indices, source, combine)
}

// Scatter is t with an element of source put, for each index, at that place of an
// axis and at the index's own place on the others, as torch.scatter: source and
// indices have one shape, and t's but for the axis. Indices are clamped.
func (t *Tensor) Scatter(axis int, indices, source *Tensor) *Tensor {
	return t.scatter("Scatter", axis, indices, source, "set")
}

// ScatterAdd is Scatter with elements added to what is there. Floats narrower than
// f32 are added in f32.
func (t *Tensor) ScatterAdd(axis int, indices, source *Tensor) *Tensor {
	return t.scatter("ScatterAdd", axis, indices, source, "add")
}

// ScatterReduce is ScatterAdd with another reduction than a sum: "sum", "prod",
// "amin" or "amax", which t's own elements take part in.
func (t *Tensor) ScatterReduce(axis int, indices, source *Tensor, reduction string) *Tensor {
	combine, err := combineOf("ScatterReduce", reduction)
	if err != nil {
		return failedHere(err)
	}
	return t.scatter("ScatterReduce", axis, indices, source, combine)
}

// combineOf is what a reduction is called in the IR.
func combineOf(op, reduction string) (string, error) {
	combine, ok := combines[reduction]
	if !ok {
		return "", named(&Error{What: "there is no such reduction", Expected: "sum, prod, amin or amax", Got: fmt.Sprintf("%q", reduction)}, op)
	}
	return combine, nil
}

// index updates whole slices.
func (t *Tensor) index(name string, axis int, indices, source *Tensor, combine string) *Tensor {
	return do(name, []any{t, indices, source}, func(s *scope, x []term) term {
		a := s.axis(axis, x[0].rank())
		n := x[1].rank()
		if want := x[0].rank() - 1 + n; x[2].rank() != want {
			s.rec.fail("the source has another rank", fmt.Sprintf("rank %d", want), typesOf(x), "its sizes are those of Take(axis, indices)")
		}
		for i := range x[2].rank() {
			switch {
			case i < a:
				s.sameSize(x[2], x[0], i, i, "sizes of the source")
			case i < a+n:
				s.sameSize(x[2], x[1], i, i-a, "sizes of the source")
			default:
				s.sameSize(x[2], x[0], i, i-n+1, "sizes of the source")
			}
		}
		x[2] = s.to(x[2], x[0].dtype())
		return s.op(ir.OpScatter, x, attr("axis", int64(a)), attr("combine", combine))
	})
}

// scatter updates single elements: the indexed axis goes last, so that the others
// are those that everything shares.
func (t *Tensor) scatter(name string, axis int, indices, source *Tensor, combine string) *Tensor {
	return do(name, []any{t, indices, source}, func(s *scope, x []term) term {
		rank := x[0].rank()
		a := s.axis(axis, rank)
		if x[1].rank() != rank || x[2].rank() != rank {
			s.rec.fail("the operands have different ranks", fmt.Sprintf("rank %d", rank), typesOf(x), "to update whole slices use IndexCopy or IndexAdd")
		}
		for i := range rank {
			s.sameSize(x[2], x[1], i, i, "sizes of the source and the indices")
			if i != a {
				s.sameSize(x[0], x[1], i, i, "sizes of the indices")
			}
		}
		x[2] = s.to(x[2], x[0].dtype())
		toLast, last := moving(rank, a, rank-1), int64(rank-1)
		for i := range x {
			x[i] = s.permute(x[i], toLast)
		}
		y := s.op(ir.OpScatter, x, attr("axis", last), attr("batch_dims", last), attr("combine", combine))
		return s.permute(y, moving(rank, rank-1, a))
	})
}
