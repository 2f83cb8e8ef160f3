package ptx

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"jitc/codegen"
	"jitc/codegen/internal/elements"
	"jitc/ir/tensor"
)

type sizes = map[string]int64

// regionSizes are sizes for the regions of testdata/loops that are not huge:
// empty, short, odd and long.
var regionSizes = map[string][]sizes{
	"bias_gelu":        {{"B": 1, "T": 1}, {"B": 1, "T": 3}},
	"big_sum":          {{"N": 0}, {"N": 1}, {"N": 1000}, {"N": 40001}},
	"column_sum":       {{"N": 0}, {"N": 1}, {"N": 7}, {"N": 300}},
	"gradient_norm":    {{"N": 1}, {"N": 9}},
	"group_norm":       {{"N": 1, "H": 1}, {"N": 1, "H": 33}, {"N": 2, "H": 100}},
	"layer_norm":       {{"B": 1, "T": 1}, {"B": 2, "T": 3}},
	"max_pool":         {{"N": 1, "C": 1, "H": 1}, {"N": 1, "C": 2, "H": 9}},
	"pointwise_1d":     {{"B": 1, "T": 0}, {"B": 1, "T": 1}, {"B": 3, "T": 7}, {"B": 8, "T": 16}},
	"softmax":          {{"N": 1, "C": 2}, {"N": 3, "C": 7}, {"N": 5, "C": 64}, {"N": 2, "C": 1000}, {"N": 40, "C": 33}, {"N": 1, "C": 8192}, {"N": 1, "C": 4099}},
	"softmax_axis1":    {{"H": 16}, {"H": 45}},
	"transpose":        {{"M": 1, "N": 1}, {"M": 32, "N": 64}, {"M": 33, "N": 65}, {"M": 100, "N": 17}, {"M": 3, "N": 100}},
	"split_heads":      {{"B": 1, "T": 5}},
	"linear_relu":      {{"B": 1, "T": 1}, {"B": 1, "T": 33}},
	"attention_scores": {{"B": 1, "T": 5, "S": 3}},
	"attention_output": {{"B": 1, "T": 3, "S": 40}},
	"convolution":      {{"N": 1, "H": 3, "W": 5}},
}

// TestRegions compares the regions of the golden files of loops.
func TestRegions(t *testing.T) {
	for name, all := range regionSizes {
		t.Run(name, func(t *testing.T) {
			src, err := os.ReadFile(filepath.Join("../../testdata/loops", name+".txtar"))
			require.NoError(t, err)
			d := forDevice(t, compiled(t, lowered(t, string(txtar.Parse(src).Files[0].Data)), small, Options{}))
			for i, s := range all {
				checkOn(t, d, s, elements.Moderate+uint64(i), 1e-4, 0)
			}
		})
	}
}

// rowKernel keeps a row of type dt between two phases, which a third reads in
// reverse if turned.
func rowKernel(t testing.TB, dt tensor.DType, turned bool) *codegen.Kernel {
	n, c := sym("N"), sym("C")
	b := codegen.NewKernel("rows")
	x := b.Buffer(codegen.Input, "x", tensor.F32, n.Mul(c))
	y := b.Buffer(codegen.Output, "y", tensor.F32, n.Mul(c))
	z := b.Buffer(codegen.Output, "z", tensor.F32, n)
	row := b.Buffer(codegen.Row, "row", dt, c)
	s := b.Nest([]codegen.Axis{{Name: "i", Extent: n}, {Name: "j", Extent: c}}, 1)
	at := func(buf int) codegen.Access { return codegen.AtExpr(buf, con(0), c, con(1)) }
	s.Loop()
	v := s.Op(codegen.Mul, s.Load(at(x)), s.ConstF32(0.75))
	s.Store(codegen.At(row, 0, 1), s.To(codegen.Cast, codegen.ComputeType(dt), v))
	var top codegen.Val
	if turned { // no reduction, which might wait for all threads too
		s.Once()
		top = s.ConstF32(3)
	} else {
		top = s.Reduce(codegen.Max, v)
		s.Once()
	}
	s.Store(codegen.At(z, 1), top)
	s.Loop()
	from := codegen.At(row, 0, 1)
	if turned {
		from = codegen.AtExpr(row, c.Sub(con(1)), con(0), con(-1))
	}
	w := s.To(codegen.Cast, tensor.F32, s.Load(from))
	s.Store(at(y), s.Op(codegen.Sub, s.Op(codegen.Mul, w, s.ConstF32(2)), top))
	k, err := b.Build()
	require.NoError(t, err)
	return k
}

// TestRows: rows in registers, in shared memory and in scratch memory, of every
// memory type.
func TestRows(t *testing.T) {
	for _, turned := range []bool{false, true} {
		for _, dt := range tensor.DTypes() {
			ds := widths(t, rowKernel(t, dt, turned))
			for _, s := range []sizes{{"N": 5, "C": 7}, {"N": 3, "C": 64}, {"N": 40, "C": 100}, {"N": 2, "C": 400}, {"N": 0, "C": 3}, {"N": 3, "C": 0}} {
				for _, d := range ds {
					checkOn(t, d, s, 3, 0, 0)
				}
			}
		}
		d := forDevice(t, compiled(t, rowKernel(t, tensor.F32, turned), small, Options{}))
		checkOn(t, d, sizes{"N": 20, "C": 13001}, 3, 0, 0) // 48 KiB hold 12,288
	}
}

// TestRowForms: rows of every type where entries for registers, then those for
// shared memory, are not there to be chosen, with runs of every width.
func TestRowForms(t *testing.T) {
	for _, dt := range tensor.DTypes() {
		for _, d := range widths(t, rowKernel(t, dt, false)) {
			for _, f := range []form{inRegisters, inShared} {
				without(d.m, f)
				for _, s := range []sizes{{"N": 3, "C": 7}, {"N": 2, "C": 100}, {"N": 2, "C": 101}, {"N": 3, "C": 2064}, {"N": 1, "C": 1030}} {
					checkOn(t, d, s, 3, 0, 0)
				}
			}
		}
	}
}

// without takes a module's entries of a form away.
func without(m *Module, f form) {
	for _, s := range m.steps {
		if g, ok := s.(*groups); ok {
			g.variants = slices.DeleteFunc(g.variants, func(v variant) bool { return v.form() == f })
		}
	}
}

// TestHeldRowsSeeOtherThreadsWrites: a phase that reads an output in reverse sees
// what the phase before has written, although most values never leave registers.
func TestHeldRowsSeeOtherThreadsWrites(t *testing.T) {
	n, c := sym("N"), sym("C")
	b := codegen.NewKernel("mirror")
	x := b.Buffer(codegen.Input, "x", tensor.F32, n.Mul(c))
	var out [3]int
	for i := range out {
		out[i] = b.Buffer(codegen.Output, fmt.Sprint("y", i), tensor.F32, n.Mul(c))
	}
	s := b.Nest([]codegen.Axis{{Name: "i", Extent: n}, {Name: "j", Extent: c}}, 1)
	at := func(buf int) codegen.Access { return codegen.AtExpr(buf, con(0), c, con(1)) }
	mirrored := codegen.AtExpr(out[0], c.Sub(con(1)), c, con(-1))
	two := func() codegen.Val { return s.ConstF32(2) }
	s.Loop()
	s.Store(at(out[0]), s.Op(codegen.Mul, s.Load(at(x)), two()))
	s.Loop()
	s.Store(at(out[1]), s.Op(codegen.Add, s.Load(mirrored), s.Load(at(out[0]))))
	s.Loop()
	s.Store(at(out[0]), s.Op(codegen.Add, s.Load(at(out[0])), s.Load(at(x))))
	s.Loop()
	s.Store(at(out[2]), s.Op(codegen.Mul, s.Load(mirrored), s.Load(at(out[0]))))
	k, err := b.Build()
	require.NoError(t, err)
	m := compiled(t, k, small, Options{})
	d := forDevice(t, m)
	for _, s := range []sizes{{"N": 3, "C": 4}, {"N": 2, "C": 64}, {"N": 2, "C": 1200}} {
		require.Equal(t, []string{"_0_held"}, entriesOf(t, m, s, 256))
		checkOn(t, d, s, 3, 0, 0)
	}
}

// entriesOf lists the entries that a plan launches, without the kernel's name.
func entriesOf(t testing.TB, m *Module, s sizes, align int) []string {
	b, err := codegen.Bind(m.Kernel, s)
	require.NoError(t, err)
	p, err := m.BindAligned(b, align)
	require.NoError(t, err)
	var out []string
	for _, l := range p.Launches {
		out = append(out, strings.TrimPrefix(l.Entry, "k_"+m.Kernel.Name))
	}
	return out
}

// TestVariants: which entry serves which sizes.
func TestVariants(t *testing.T) {
	rows := compiled(t, rowKernel(t, tensor.F32, false), a100, Options{})
	turned := compiled(t, rowKernel(t, tensor.F32, true), a100, Options{})
	columns := compiled(t, columnKernel(t, tensor.F32), a100, Options{})
	transpose := compiled(t, transposeKernel(t, tensor.F32), a100, Options{})
	for _, c := range []struct {
		m     *Module
		s     sizes
		align int
		want  string
	}{
		{rows, sizes{"N": 8, "C": 1024}, 256, "_0_held"},
		{rows, sizes{"N": 8, "C": 1023}, 256, "_0_held_single"},
		{rows, sizes{"N": 8, "C": 1024}, 8, "_0_held_single"},
		{rows, sizes{"N": 8, "C": 8192}, 256, "_0_held"},
		{rows, sizes{"N": 8, "C": 8196}, 256, "_0_staged"},
		{rows, sizes{"N": 8, "C": 40000}, 256, "_0_staged"},
		{rows, sizes{"N": 8, "C": 40001}, 256, "_0_staged_single"},
		{rows, sizes{"N": 8, "C": 50000}, 256, "_0_scratch"},
		{rows, sizes{"N": 8, "C": 50001}, 256, "_0_scratch_single"},
		{rows, sizes{"N": 0, "C": 50000}, 256, ""},
		{turned, sizes{"N": 8, "C": 1024}, 256, "_0"},
		{turned, sizes{"N": 8, "C": 1023}, 256, "_0_single"},
		{columns, sizes{"N": 100000, "C": 64}, 256, "_0_parts _0_sum"},
		{columns, sizes{"N": 100, "C": 64}, 256, "_0"},
		{columns, sizes{"N": 1000, "C": 1 << 20}, 256, "_0"},
		{transpose, sizes{"N": 64, "C": 64}, 256, "_0"},
		{transpose, sizes{"N": 3, "C": 640}, 256, "_0_strided_single"},
		{transpose, sizes{"N": 4, "C": 640}, 256, "_0_strided"},
	} {
		assert.Equal(t, c.want, strings.Join(entriesOf(t, c.m, c.s, c.align), " "), "%s %v", c.m.Kernel.Name, c.s)
	}
}

// columnKernel sums columns and finds their least element and whether any is
// positive.
func columnKernel(t testing.TB, dt tensor.DType) *codegen.Kernel {
	n, c := sym("N"), sym("C")
	b := codegen.NewKernel("columns")
	x := b.Buffer(codegen.Input, "x", dt, n.Mul(c))
	bias := b.Buffer(codegen.Input, "bias", tensor.F32, c)
	y := b.Buffer(codegen.Output, "y", tensor.F64, c)
	z := b.Buffer(codegen.Output, "z", codegen.ComputeType(dt), c)
	w := b.Buffer(codegen.Output, "w", tensor.Bool, c)
	s := b.Nest([]codegen.Axis{{Name: "j", Extent: c}, {Name: "i", Extent: n}}, 1).Vec(0)
	s.Once()
	add := s.To(codegen.Cast, tensor.F64, s.Load(codegen.At(bias, 1)))
	s.Loop()
	v := s.Load(codegen.AtExpr(x, con(0), con(1), c))
	// Integers, so that the order of additions does not matter.
	whole, positive := s.Op(codegen.Floor, s.To(codegen.Cast, tensor.F64, v)), s.To(codegen.Cast, tensor.Bool, v)
	sum, least, wide := s.Reduce(codegen.Add, whole), s.Reduce(codegen.Min, v), s.Reduce(codegen.Or, positive)
	s.Once()
	s.Store(codegen.At(y, 1), s.Op(codegen.Add, sum, add))
	s.Store(codegen.At(z, 1), least)
	s.Store(codegen.At(w, 1), wide)
	k, err := b.Build()
	require.NoError(t, err)
	return k
}

// TestRowsInParts: few long rows are reduced by several blocks each.
func TestRowsInParts(t *testing.T) {
	src := "func @f(%x: f32[N,C]) -> f32[N]\n  where N in [1, 4096], C in [1, 1000000] {\n  %0: f32[N] = reduce_max(%x) {axes=[1]}\n  %1: f32[N] = neg(%0)\n  return %1\n}"
	m := compiled(t, lowered(t, src), small, Options{})
	d := forDevice(t, m)
	for _, c := range []int64{16384, 20004, 30011} {
		require.Len(t, entriesOf(t, m, sizes{"N": 1, "C": c}, 256), 2)
		checkOn(t, d, sizes{"N": 1, "C": c}, 3, 0, 0)
	}
}

func TestColumns(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.I8, tensor.I64} {
		ds := widths(t, columnKernel(t, dt))
		for _, s := range []sizes{{"N": 3, "C": 5}, {"N": 0, "C": 40}, {"N": 300, "C": 3}, {"N": 1000, "C": 33}, {"N": 17, "C": 200}, {"N": 3000, "C": 1}} {
			for _, d := range ds {
				checkOn(t, d, s, elements.Moderate, 0, 0)
			}
		}
	}
}

// transposeKernel adds a transposed matrix, one that is not, and a row.
func transposeKernel(t testing.TB, dt tensor.DType) *codegen.Kernel {
	n, c := sym("N"), sym("C")
	b := codegen.NewKernel("transpose")
	x := b.Buffer(codegen.Input, "x", dt, n.Mul(c).Mul(con(2)))
	u := b.Buffer(codegen.Input, "u", dt, n.Mul(c).Mul(con(2)))
	w := b.Buffer(codegen.Input, "w", dt, n)
	y := b.Buffer(codegen.Output, "y", dt, n.Mul(c).Mul(con(2)))
	s := b.Nest([]codegen.Axis{{Name: "k", Extent: con(2)}, {Name: "j", Extent: c}, {Name: "i", Extent: n}}, 3)
	s.Once()
	a := s.Load(codegen.AtExpr(x, con(0), n.Mul(c), con(1), c))
	d := s.Load(codegen.AtExpr(u, con(0), n.Mul(c), n, con(1)))
	op := codegen.Max
	if dt == tensor.Bool {
		op = codegen.Xor
	}
	s.Store(codegen.AtExpr(y, con(0), n.Mul(c), n, con(1)), s.Op(op, s.Op(op, a, d), s.Load(codegen.At(w, 0, 0, 1))))
	k, err := b.Build()
	require.NoError(t, err)
	return k
}

func TestTransposes(t *testing.T) {
	for _, dt := range tensor.DTypes() {
		ds := widths(t, transposeKernel(t, dt))
		for _, s := range []sizes{{"N": 32, "C": 32}, {"N": 33, "C": 16}, {"N": 16, "C": 70}, {"N": 3, "C": 40}, {"N": 0, "C": 20}} {
			for _, d := range ds {
				checkOn(t, d, s, 5, 0, 0)
			}
		}
	}
}

// TestTilesDoNotConflict: a turned square costs no bank conflicts.
func TestTilesDoNotConflict(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		d := forDevice(t, compiled(t, transposeKernel(t, dt), small, Options{}))
		assert.Zero(t, checkOn(t, d, sizes{"N": 64, "C": 64}, 5, 0, 0).SharedConflicts, "%s", dt)
	}
}

// TestSumsAreReproducible: sums have the same bits from run to run.
func TestSumsAreReproducible(t *testing.T) {
	d := forDevice(t, compiled(t, lowered(t, "func @s(%x: f32[N,C]) -> f32[N]\n  where N in [1, 4096], C in [1, 8192] {\n  %0: f32[N] = reduce_sum(%x) {axes=[1]}\n  return %0\n}"), small, Options{}))
	b, err := codegen.Bind(d.m.Kernel, sizes{"N": 5, "C": 777})
	require.NoError(t, err)
	x := elements.Random(tensor.F32, 5*777, elements.Moderate)
	y, z := make([]byte, 20), make([]byte, 20)
	d.run(t, b, [][]byte{x, y}, 0)
	d.run(t, b, [][]byte{x, z}, 0)
	assert.Equal(t, y, z)
}

// TestRefusals: what cannot run is an error that says why.
func TestRefusals(t *testing.T) {
	k, err := codegen.Legalize(columnKernel(t, tensor.F32), Target(false, false))
	require.NoError(t, err)
	_, err = Compile(k, Device{Arch: 75}, Options{})
	var u *Unsupported
	require.ErrorAs(t, err, &u)
	assert.Contains(t, u.Reason, "7.5")

	m, err := Compile(k, small, Options{})
	require.NoError(t, err)
	b, err := codegen.Bind(k, sizes{"N": 4, "C": 1 << 33})
	require.NoError(t, err)
	_, err = m.Bind(b)
	require.ErrorIs(t, err, codegen.ErrIndexWidth)

	other, err := codegen.Legalize(transposeKernel(t, tensor.F32), Target(false, false))
	require.NoError(t, err)
	b, err = codegen.Bind(other, sizes{"N": 4, "C": 4})
	require.NoError(t, err)
	_, err = m.Bind(b)
	require.ErrorContains(t, err, "columns")
}

// TestTemporaries: steps see the writes of those before, in scratch memory that is
// laid out at multiples of 256 bytes.
func TestTemporaries(t *testing.T) {
	src := "func @f(%x: f32[N,60]) -> (f32[N], f32[N])\n  where N in [1, 4096] {\n  %0: f32[60,N] = transpose(%x) {perm=[1, 0]}\n  %1: f32[60,N] = exp(%0)\n  %2: f32[N] = reduce_sum(%1) {axes=[0]}\n  %3: f32[N] = reduce_max(%x) {axes=[1]}\n  return %2, %3\n}"
	m := compiled(t, lowered(t, src), small, Options{})
	for _, n := range []int64{1, 3, 70} {
		b, err := codegen.Bind(m.Kernel, sizes{"N": n})
		require.NoError(t, err)
		p, err := m.Bind(b)
		require.NoError(t, err)
		assert.Zero(t, p.Scratch%256)
		checkOn(t, forDevice(t, m), sizes{"N": n}, elements.Moderate, 1e-5, 0)
	}
}
