package trace

import (
	"fmt"
	"slices"
	"strings"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Einsum is Einstein's notation for sums of products: "bij,bjk->bik" is a batched
// matrix product. Each letter names an axis; one that is not in the result is
// summed over. Without "->" the result has the letters that occur once, in
// alphabetical order. A letter twice in one operand is its diagonal.
func Einsum(spec string, ts ...*Tensor) *Tensor {
	in, out, err := einsumSpec(spec, len(ts))
	if err != nil {
		return failedHere(err)
	}
	return do("Einsum", anys(ts), func(s *scope, x []term) term {
		xs := s.promote(x...)
		terms := make([]axesTerm, len(xs))
		for i := range xs {
			if xs[i].rank() != len(in[i]) {
				s.rec.fail("wrong rank", fmt.Sprintf("rank %d for %q", len(in[i]), in[i]), xs[i].typ().String(), "")
			}
			terms[i] = s.diagonals(axesTerm{xs[i], in[i]})
		}
		s.einsumSizes(terms)
		y := terms[0]
		for i, z := range terms[1:] {
			keep := out
			for _, later := range terms[i+2:] {
				keep += later.axes
			}
			y = s.product(y, z, keep)
		}
		return s.arrange(s.sumOut(y, out), out)
	})
}

// axesTerm is a term whose axes have letters.
type axesTerm struct {
	term
	axes string
}

func (x axesTerm) at(letter rune) int64 { return int64(strings.IndexRune(x.axes, letter)) }

// einsumSpec reads the letters of the operands and of the result.
func einsumSpec(spec string, operands int) (in []string, out string, err error) {
	fault := func(what, expected string) error {
		return &Error{Op: "Einsum", What: what, Expected: expected, Got: fmt.Sprintf("%q", spec)}
	}
	text := strings.ReplaceAll(spec, " ", "")
	left, out, explicit := strings.Cut(text, "->")
	in = strings.Split(left, ",")
	if len(in) != operands || operands == 0 {
		return nil, "", fault("wrong number of operands", fmt.Sprintf("letters for %d tensors", operands))
	}
	all := strings.Join(in, "")
	for _, c := range all + out {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return nil, "", fault("axes are named by letters", "a to z and A to Z")
		}
	}
	if !explicit {
		letters := []rune(all)
		slices.Sort(letters)
		for _, c := range letters {
			if strings.Count(all, string(c)) == 1 {
				out += string(c)
			}
		}
	}
	for _, c := range out {
		if strings.Count(out, string(c)) > 1 || !strings.ContainsRune(all, c) {
			return nil, "", fault(fmt.Sprintf("letter %c of the result", c), "one of an operand's, once")
		}
	}
	return in, out, nil
}

// diagonals keeps, of axes with one letter, the elements where they agree.
func (s *scope) diagonals(x axesTerm) axesTerm {
	for i := 0; i < len(x.axes); i++ {
		j := strings.LastIndexByte(x.axes, x.axes[i])
		if j == i {
			continue
		}
		if !s.rec.equal(x.size(i), x.size(j), "axes of one letter") {
			s.rec.fail(fmt.Sprintf("axes %c differ in size", x.axes[i]), x.size(i).String(), x.size(j).String(), "")
		}
		at := ir.T(tensor.I64, x.shape()...)
		on := s.op(ir.OpEq, []term{s.iota(at, i), s.iota(at, j)})
		kept := s.op(ir.OpSelect, []term{on, x.term, splat(x.term, 0)})
		x.term = s.op(ir.OpReduceSum, []term{kept}, attr("axes", []int64{int64(j)}))
		x.axes = x.axes[:j] + x.axes[j+1:]
		i--
	}
	return x
}

// einsumSizes decides that a letter has one size everywhere.
func (s *scope) einsumSizes(xs []axesTerm) {
	sizes := map[rune]dim.Expr{}
	for _, x := range xs {
		for i, c := range x.axes {
			if first, ok := sizes[c]; !ok {
				sizes[c] = x.size(i)
			} else if !s.rec.equal(first, x.size(i), "axes of one letter") {
				s.rec.fail(fmt.Sprintf("axes %c differ in size", c), first.String(), x.size(i).String(), "")
			}
		}
	}
}

// sumOut sums the axes whose letters are not to be kept.
func (s *scope) sumOut(x axesTerm, keep string) axesTerm {
	var axes []int64
	letters := ""
	for i, c := range x.axes {
		if strings.ContainsRune(keep, c) {
			letters += string(c)
		} else {
			axes = append(axes, int64(i))
		}
	}
	if axes != nil {
		x = axesTerm{s.op(ir.OpReduceSum, []term{x.term}, attr("axes", axes)), letters}
	}
	return x
}

// product multiplies two terms, summing what neither the result nor later ones keep.
func (s *scope) product(a, b axesTerm, keep string) axesTerm {
	a, b = s.sumOut(a, keep+b.axes), s.sumOut(b, keep+a.axes)
	var batch, freeA, freeB string
	var lb, rb, lc, rc []int64
	for _, c := range a.axes {
		switch {
		case !strings.ContainsRune(b.axes, c):
			freeA += string(c)
		case strings.ContainsRune(keep, c):
			batch += string(c)
			lb, rb = append(lb, a.at(c)), append(rb, b.at(c))
		default:
			lc, rc = append(lc, a.at(c)), append(rc, b.at(c))
		}
	}
	for _, c := range b.axes {
		if !strings.ContainsRune(a.axes, c) {
			freeB += string(c)
		}
	}
	var attrs []ir.Attr
	for _, axes := range []struct {
		name string
		at   []int64
	}{{"lhs_batch", lb}, {"rhs_batch", rb}, {"lhs_contract", lc}, {"rhs_contract", rc}} {
		if axes.at != nil {
			attrs = append(attrs, attr(axes.name, axes.at))
		}
	}
	return axesTerm{s.op(ir.OpDotGeneral, []term{a.term, b.term}, attrs...), batch + freeA + freeB}
}

// arrange puts the axes in the order of letters.
func (s *scope) arrange(x axesTerm, letters string) term {
	perm := make([]int64, len(letters))
	for i, c := range letters {
		perm[i] = x.at(c)
	}
	return s.permute(x.term, perm)
}
