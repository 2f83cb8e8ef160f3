package fusion

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// generator builds random functions of f32 values; most are of shape [B,6], the
// rest what views, reductions and contractions make of that.
type generator struct {
	rng    *rand.Rand
	b      *ir.Builder
	space  []dim.Expr
	square []*ir.Value // of the space
	rows   []*ir.Value // [B]
	window int         // operands come from the last values; 0: from all
	heavy  bool        // contractions, gathers and pads too
}

func (g *generator) pick(from []*ir.Value) *ir.Value {
	if g.window > 0 && len(from) > g.window {
		from = from[len(from)-g.window:]
	}
	return from[g.rng.IntN(len(from))]
}

var (
	unaries  = []ir.Op{ir.OpNeg, ir.OpExp, ir.OpTanh, ir.OpAbs, ir.OpSigmoid, ir.OpFloor}
	binaries = []ir.Op{ir.OpAdd, ir.OpMul, ir.OpSub, ir.OpMax, ir.OpMin}
)

// moves have one row per kind of value; each keeps what it makes.
var moves = []func(g *generator){
	func(g *generator) { g.keep(g.b.Unary(unaries[g.rng.IntN(len(unaries))], g.pick(g.square))) },
	func(g *generator) {
		g.keep(g.b.Binary(binaries[g.rng.IntN(len(binaries))], g.pick(g.square), g.pick(g.square)))
	},
	func(g *generator) {
		g.keep(g.b.Binary(ir.OpMul, g.pick(g.square), g.b.Splat(g.pick(g.square).Type, 0.5)))
	},
	func(g *generator) { g.rows = append(g.rows, g.b.Reduce(ir.OpReduceSum, g.pick(g.square), 1)) },
	func(g *generator) { g.keep(g.b.BroadcastBack(g.pick(g.rows), g.space, 1)) },
	func(g *generator) { g.rows = append(g.rows, g.b.Unary(ir.OpAbs, g.pick(g.rows))) },
	func(g *generator) { // transposed, changed, and back
		t := g.b.Transpose(g.pick(g.square), 1, 0)
		if g.rng.IntN(2) == 0 {
			t = g.b.Unary(ir.OpNeg, t)
		}
		g.keep(g.b.Transpose(t, 1, 0))
	},
	func(g *generator) { // through a reshape, sometimes one that is not affine
		x, flat := g.pick(g.square), []dim.Expr{dim.Product(g.space)}
		if g.rng.IntN(2) == 0 {
			x = g.b.Transpose(x, 1, 0)
		}
		y := g.b.Reshape(x, flat)
		if g.rng.IntN(2) == 0 {
			y = g.b.Unary(ir.OpAbs, y)
		}
		g.keep(g.b.Reshape(y, g.space))
	},
	func(g *generator) { // halves, exchanged
		x := g.pick(g.square)
		half := func(lo, hi int64) *ir.Value {
			return g.b.Emit(ir.OpSlice, []*ir.Value{x}, ir.Attr{Name: "starts", Value: ir.Dims(0, int(lo))},
				ir.Attr{Name: "limits", Value: []dim.Expr{g.space[0], dim.Const(hi)}})
		}
		g.keep(g.b.Emit(ir.OpConcat, []*ir.Value{g.b.Unary(ir.OpNeg, half(3, 6)), half(0, 3)}, ir.Attr{Name: "axis", Value: int64(1)}))
	},
	func(g *generator) { // mixes columns
		x := g.pick(g.square)
		cols := g.b.Reduce(ir.OpReduceMax, g.pick(g.square), 0)
		g.keep(g.b.Binary(ir.OpSub, x, g.b.Broadcast(cols, g.space, 1)))
	},
	func(g *generator) { // x x^T y
		if g.heavy {
			s := g.dot(g.pick(g.square), g.pick(g.square), 1, 1)
			g.keep(g.dot(g.b.Unary(ir.OpTanh, s), g.pick(g.square), 1, 0))
		}
	},
	func(g *generator) {
		if g.heavy {
			i := g.b.Iota(ir.T(tensor.I32, g.space[1]), 0)
			g.keep(g.b.Emit(ir.OpGather, []*ir.Value{g.pick(g.square), g.b.Unary(ir.OpNeg, i)}, ir.Attr{Name: "axis", Value: int64(1)}))
		}
	},
	func(g *generator) {
		if g.heavy {
			p := g.b.Emit(ir.OpPad, []*ir.Value{g.pick(g.square), g.b.Splat(ir.T(tensor.F32), 1)},
				ir.Attr{Name: "low", Value: ir.Dims(0, 1)}, ir.Attr{Name: "high", Value: ir.Dims(1, 0)})
			g.keep(g.b.Emit(ir.OpSlice, []*ir.Value{p}, ir.Attr{Name: "starts", Value: ir.Dims(1, 0)},
				ir.Attr{Name: "limits", Value: []dim.Expr{g.space[0].Add(dim.Const(1)), dim.Const(6)}}))
		}
	},
}

func (g *generator) dot(x, y *ir.Value, i, j int64) *ir.Value {
	return g.b.Emit(ir.OpDotGeneral, []*ir.Value{x, y},
		ir.Attr{Name: "lhs_contract", Value: []int64{i}}, ir.Attr{Name: "rhs_contract", Value: []int64{j}})
}

func (g *generator) keep(v *ir.Value) { g.square = append(g.square, v) }

// randomFunc has at least n values; about one in ten is a result.
func randomFunc(t testing.TB, rng *rand.Rand, n, window int, heavy bool) *ir.Func {
	t.Helper()
	f := ir.NewFunc("random", nil)
	require.NoError(t, f.Facts.ParseFact("B in [1, 64]"))
	g := &generator{rng: rng, b: ir.NewBuilder(f), space: []dim.Expr{dim.Sym("B"), dim.Const(6)}, window: window, heavy: heavy}
	for i := range 3 {
		g.keep(f.AddParam("x"+strconv.Itoa(i), ir.T(tensor.F32, g.space...), nil))
	}
	g.rows = append(g.rows, f.AddParam("r", ir.T(tensor.F32, g.space[0]), nil))
	for len(f.Values) < n {
		moves[rng.IntN(len(moves))](g)
		require.NoError(t, g.b.Err())
	}
	for i, v := range f.Values {
		if i == len(f.Values)-1 || rng.IntN(10) == 0 {
			f.Results = append(f.Results, v)
		}
	}
	return f
}

// randomClaimers own ops at random; the last takes everything.
func randomClaimers(rng *rand.Rand) []Claimer {
	var cs []Claimer
	for range rng.IntN(3) {
		levels := map[ir.Op]Level{}
		for _, op := range ir.Ops() {
			if rng.IntN(4) == 0 {
				levels[op] = Level(rng.IntN(3))
			}
		}
		cs = append(cs, fake{"some" + strconv.Itoa(len(cs)), levels})
	}
	return append(cs, fake{"all", nil})
}

// arguments binds B and fills the parameters.
func arguments(f *ir.Func, rng *rand.Rand, batch int64) []*tensor.Tensor {
	var args []*tensor.Tensor
	for _, p := range f.Params {
		shape, n := make([]int, len(p.Type.Shape)), 1
		for i, e := range p.Type.Shape {
			size, _ := e.Eval(map[string]int64{"B": batch})
			shape[i] = int(size)
			n *= shape[i]
		}
		data := make([]float64, n)
		for i := range data {
			data[i] = rng.Float64()*6 - 3
		}
		args = append(args, tensor.FromFloats(p.Type.DType, shape, data))
	}
	return args
}
