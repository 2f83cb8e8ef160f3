package padding

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/internal/irgen"
	"jitc/ir"
	"jitc/ir/tensor"
)

// tally counts what random functions showed.
type tally struct{ paddable, masked, refused, compared int }

// tryRandom rewrites a random function for a symbol and compares it where bits are
// to agree: compare says whether, after a successful rewrite.
func tryRandom(t *testing.T, seed uint64, o irgen.Options, compare func(f *ir.Func, p *Padded) bool,
	args func(rng *rand.Rand, f *ir.Func, sizes map[string]int64) []*tensor.Tensor, n *tally) {
	rng := rand.New(rand.NewPCG(11, seed))
	f := irgen.Func(rng, o)
	sym := []string{"B", "S"}[seed%2]
	text := f.String()
	p, err := Rewrite(f, sym)
	require.Equal(t, text, f.String(), "the original changed")
	if err != nil {
		requireRefusal(t, err, sym)
		n.refused++
		return
	}
	require.NoError(t, ir.Verify(p.F, ir.Surface), "seed %d\n%s\n%s", seed, f, p.F)
	n.paddable++
	if len(p.Masked) > 0 {
		n.masked++
	}
	if !compare(f, p) {
		return
	}
	for range 6 {
		sizes := irgen.Sizes(rng, f)
		larger := max(sizes[sym], irgen.Sizes(rng, f)[sym])
		given := args(rng, f, sizes)
		if given != nil && requireKept(t, rng, f, p, given, sizes, sym, larger, tensor.Tolerance{NaNEqual: true}) {
			n.compared++
		}
	}
}

func requireRefusal(t *testing.T, err error, sym string) {
	t.Helper()
	var r *Refusal
	require.True(t, errors.As(err, &r), "%v", err)
	_, known := ir.OpByName(r.Op)
	assert.True(t, known, "op %q", r.Op)
	assert.True(t, r.Pos.IsKnown(), "%v", err)
	assert.Equal(t, sym, r.Sym)
	assert.NotEmpty(t, r.What)
	assert.NotEmpty(t, r.Hint)
	assert.True(t, strings.HasPrefix(err.Error(), "cannot pad "+sym+": "), "%v", err)
	assert.NotContains(t, err.Error(), "cannot be")
}

func seeds() uint64 {
	if testing.Short() {
		return 300
	}
	return 2500
}

// TestRandomExact: where Rewrite says that bits are kept, they are, for all ops and
// types, whatever padding holds.
func TestRandomExact(t *testing.T) {
	var n tally
	for seed := range seeds() {
		o := irgen.Options{Surface: seed%3 == 0, Values: 4 + int(seed%9)}
		tryRandom(t, seed, o, func(_ *ir.Func, p *Padded) bool { return p.Exact }, irgen.Args, &n)
	}
	t.Logf("%+v", n)
	assert.Greater(t, n.compared, int(seeds())/2)
	assert.Greater(t, n.masked, int(seeds())/40)
	assert.Greater(t, n.refused, int(seeds())/10)
}

// TestRandomIntegers: arithmetic of integers wraps, so that results agree in every
// bit whatever is masked.
func TestRandomIntegers(t *testing.T) {
	var n tally
	ints := []tensor.DType{tensor.I64, tensor.I32, tensor.U8, tensor.U64, tensor.Bool}
	for seed := range seeds() {
		o := irgen.Options{Values: 4 + int(seed%7), DTypes: ints, Keep: foldsOften(seed)}
		tryRandom(t, seed, o, func(_ *ir.Func, p *Padded) bool {
			require.True(t, p.Exact)
			return true
		}, irgen.Args, &n)
	}
	t.Logf("%+v", n)
	assert.Greater(t, n.masked, int(seeds())/10)
}

// foldsOften keeps, for most seeds, the ops that Rewrite always refuses along a
// padded axis out of the way.
func foldsOften(seed uint64) func(op ir.Op) bool {
	return func(op ir.Op) bool {
		return seed%3 == 0 || op != ir.OpReverse && op != ir.OpConcat
	}
}

// TestRandomSums: floats that are small integers are summed without rounding in any
// order, so that results agree wherever masked sums are right.
func TestRandomSums(t *testing.T) {
	var n tally
	exact := map[ir.Op]bool{ir.OpNeg: true, ir.OpAbs: true, ir.OpSign: true, ir.OpAdd: true, ir.OpSub: true, ir.OpMul: true,
		ir.OpMax: true, ir.OpMin: true, ir.OpSelect: true, ir.OpReshape: true, ir.OpBroadcast: true, ir.OpTranspose: true,
		ir.OpSlice: true, ir.OpPad: true, ir.OpReduceSum: true, ir.OpReduceProd: true, ir.OpReduceMax: true,
		ir.OpReduceMin: true, ir.OpReduceWindow: true, ir.OpDotGeneral: true, ir.OpGather: true, ir.OpIota: true,
		ir.OpDynamicSlice: true, ir.OpDynamicUpdateSlice: true}
	for seed := range seeds() {
		o := irgen.Options{Values: 3 + int(seed%7), DTypes: []tensor.DType{tensor.F64}, Keep: func(op ir.Op) bool { return exact[op] }}
		tryRandom(t, seed, o, func(*ir.Func, *Padded) bool { return true }, smallIntegers, &n)
	}
	t.Logf("%+v", n)
	assert.Greater(t, n.masked, int(seeds())/10)
	assert.Greater(t, n.compared, int(seeds())/4)
}

// smallIntegers are arguments for which every value of f is an integer that f64
// holds with room to spare; nil if chance does not give them.
func smallIntegers(rng *rand.Rand, f *ir.Func, sizes map[string]int64) []*tensor.Tensor {
	args := irgen.Args(rng, f, sizes)
	for i, a := range args {
		xs := make([]float64, a.NumElements())
		for j := range xs {
			xs[j] = float64(rng.IntN(7) - 3)
		}
		args[i] = tensor.FromFloats(a.DType(), a.Shape(), xs)
	}
	all := *f
	all.Results = f.Values
	values, err := ir.Eval(&all, args, sizes)
	if err != nil {
		return nil
	}
	for i, v := range values {
		for _, x := range tensor.Floats(v) {
			if f.Values[i].Op != ir.OpConstant && (x != math.Trunc(x) || math.Abs(x) > 1<<40) {
				return nil
			}
		}
	}
	return args
}
