package gemm

import "jitc/ir/tensor"

// Kind is the strategy that computes a problem.
type Kind uint8

// The strategies; see the package comment.
const (
	Blocked Kind = iota
	Stream
	Dot
	Zeros // nothing is added up: the result is zeros
)

var kindNames = [...]string{Blocked: "blocked", Stream: "stream", Dot: "dot", Zeros: "zeros"}

// String names the strategy as the package comment does.
func (k Kind) String() string { return kindNames[k] }

// Number is one of the numbers of a problem that decide its strategy.
type Number uint8

// The numbers: the sizes, and the strides of the operands.
const (
	NumM Number = iota
	NumN
	NumK
	RowA
	ColA
	RowB
	ColB
)

// swapped is the number that has a number's place in the transposed problem.
var swapped = [...]Number{NumM: NumN, NumN: NumM, NumK: NumK, RowA: ColB, ColA: RowB, RowB: ColA, ColB: RowA}

// along is the axis that a stride is of: where its size is 1 the stride is never
// used, and stands for 1.
var along = [...]Number{RowA: NumM, ColA: NumK, RowB: NumK, ColB: NumN}

// Numbers answers questions about a problem: at given sizes, or keeping the
// answers as conditions on sizes that are symbols.
type Numbers interface {
	Between(n Number, lo, hi int64) bool
	Multiple(n Number, of int64) bool
}

// Kind is the strategy of the plan, and whether it computes the transpose.
func (pl *Plan) Kind() (kind Kind, transposed bool) { return pl.kind, pl.swapped }

// KindOf decides how problems of operands of types a and b that do not have B
// packed are computed: NewPlan asks it. It asks no more than the decision takes.
func (k *Kernels) KindOf(n Numbers, a, b tensor.DType) (kind Kind, transposed bool) {
	if n.Between(NumK, 0, 0) {
		return Zeros, false
	}
	if n.Between(NumN, 1, 1) && !n.Between(NumM, 0, 1) {
		if kind := (skinny{n, k, a, true}).kind(); kind != Blocked {
			return kind, true
		}
	}
	return skinny{n, k, b, false}.kind(), false
}

// skinny asks about a problem, or its transpose.
type skinny struct {
	n          Numbers
	k          *Kernels
	src        tensor.DType // of B as computed
	transposed bool
}

func (s skinny) number(n Number) Number {
	if s.transposed {
		return swapped[n]
	}
	return n
}

func (s skinny) between(n Number, lo, hi int64) bool { return s.n.Between(s.number(n), lo, hi) }

// contiguous reports whether a stride is 1 or never used.
func (s skinny) contiguous(stride Number) bool {
	n := s.number(stride)
	return s.n.Between(n, 1, 1) || s.n.Between(along[n], 1, 1)
}

// streamRows is the largest number of rows for which reading rows of B in order
// beats the blocked strategy; dot products, which spare B's transposition, win
// as long as their sums fit in registers.
const streamRows = 4

// kind is Blocked unless a strategy for few rows takes the problem.
func (s skinny) kind() Kind {
	isa, lanes := s.k.target.ISA, int64(s.k.lanes())
	half := s.src != s.k.dt && isa == AVX2 // no masked loads of 16-bit elements
	switch {
	case !s.between(NumM, 1, int64(maxSkinny(isa))) || s.between(NumN, 0, 0):
		return Blocked
	case (!s.contiguous(ColB) || s.between(NumN, 0, lanes-1)) && s.contiguous(RowB) && s.short() &&
		!(half && !s.n.Multiple(s.number(NumK), lanes)):
		return Dot
	case s.between(NumM, 1, streamRows) && s.contiguous(ColB) && !(half && !s.n.Multiple(s.number(NumN), lanes)):
		return Stream
	}
	return Blocked
}

// callBytes is how much of B one call reads: about 100 us at 10 GB/s.
const callBytes = 1 << 20

// short reports whether a call can read the whole columns that a dot product of
// so many rows takes at once. The number of rows is asked for only where it matters.
func (s skinny) short() bool {
	isa := s.k.target.ISA
	most := func(m int) int64 { return 2 * callBytes / int64(dotWidth(isa, m)*s.src.Size()) }
	last := maxSkinny(isa)
	if s.between(NumK, 0, most(1)) {
		return true
	}
	for m := 1; m < last && s.between(NumK, 0, most(last)); m++ {
		if s.between(NumM, int64(m), int64(m)) {
			return s.between(NumK, 0, most(m))
		}
	}
	return s.between(NumK, 0, most(last))
}

// numbers are those of a problem at concrete sizes.
type numbers [ColB + 1]int64

func (p *Problem) numbers() *numbers {
	return &numbers{NumM: p.M, NumN: p.N, NumK: p.K, RowA: p.A.Row, ColA: p.A.Col, RowB: p.B.Row, ColB: p.B.Col}
}

func (n *numbers) Between(i Number, lo, hi int64) bool { return lo <= n[i] && n[i] <= hi }
func (n *numbers) Multiple(i Number, of int64) bool    { return n[i]%of == 0 }
