package jitc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/ir"
	"jitc/ir/tensor"
	rt "jitc/runtime"
)

// step is a function whose result is nested, with an empty and a nil slice in it.
type stepIn struct {
	W     *jitc.Tensor
	Scale jitc.Float
	Mode  string
}

type stepOut struct {
	Y      *jitc.Tensor
	ByName map[string]*jitc.Tensor
	Empty  []*jitc.Tensor
	None   []*jitc.Tensor
	Note   *string
}

// learner is the function under test and the number of times it was traced.
type learner struct {
	*jitc.F3[stepIn, *jitc.Tensor, jitc.Int, stepOut]
	traces *atomic.Int32
}

func newLearner(t testing.TB, o jitc.Options, opts ...jitc.FuncOption) learner {
	t.Helper()
	if o.Executors == nil { // other tests register more
		o.Executors = []string{"native"}
	}
	e, err := jitc.NewEngine(o)
	require.NoError(t, err)
	t.Cleanup(e.Close)
	n := new(atomic.Int32)
	fn := jitc.Func3(e, func(in stepIn, x *jitc.Tensor, k jitc.Int) stepOut {
		n.Add(1)
		y := x.MatMul(in.W).Mul(in.Scale)
		if in.Mode == "sum" {
			y = y.Sum(0)
		}
		note := "of " + in.Mode
		return stepOut{Y: y, ByName: map[string]*jitc.Tensor{"x": x.Mul(2.0), "k": y.Add(k)}, Empty: []*jitc.Tensor{}, Note: &note}
	}, append([]jitc.FuncOption{jitc.Name("step")}, opts...)...)
	return learner{fn, n}
}

func (l learner) call(t testing.TB, rows int, scale float64, mode string, k int) stepOut {
	t.Helper()
	x, err := jitc.From(ramp(rows*4), rows, 4)
	require.NoError(t, err)
	w, err := jitc.From(ramp(12), 4, 3)
	require.NoError(t, err)
	out, err := l.Call(context.Background(), stepIn{w, jitc.NewFloat(scale), mode}, x, jitc.NewInt(k))
	require.NoError(t, err)
	return out
}

func ramp(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(i%7) - 2.5
	}
	return out
}

// teach makes entries of every kind: static and dynamic sizes, an Int and a Float
// that became a symbol and an input, a constant that splits.
func (l learner) teach(t testing.TB) {
	t.Helper()
	for i, rows := range []int{2, 5, 9, 5} {
		l.call(t, rows, 0.5+float64(i), "rows", i+1)
	}
	l.call(t, 5, 0.5, "sum", 3)
}

func saved(t testing.TB, l learner) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, l.Traced().Save(&b))
	return b.Bytes()
}

func sameOut(t testing.TB, want, got stepOut) {
	t.Helper()
	same := func(a, b *jitc.Tensor) {
		require.Equal(t, a.Type().String(), b.Type().String())
		require.Nil(t, tensor.Compare(b.Host(), a.Host(), tensor.Tolerance{}))
	}
	same(want.Y, got.Y)
	require.Len(t, got.ByName, len(want.ByName))
	for k := range want.ByName {
		same(want.ByName[k], got.ByName[k])
	}
	require.NotNil(t, got.Empty)
	require.Empty(t, got.Empty)
	require.Nil(t, got.None)
	require.Equal(t, *want.Note, *got.Note)
}

// TestLoadAnswersWithoutTracing is the purpose of the file: what one engine learned
// another runs, to the same bits, and it never calls the function.
func TestLoadAnswersWithoutTracing(t *testing.T) {
	a := newLearner(t, jitc.Options{})
	a.teach(t)
	b := newLearner(t, jitc.Options{})
	report, err := b.Traced().Load(context.Background(), bytes.NewReader(saved(t, a)))
	require.NoError(t, err)
	assert.Equal(t, len(a.Traced().Entries()), report.Entries)
	assert.Equal(t, a.Traced().Stats().Recordings, report.Recordings)
	assert.Empty(t, report.Skipped)
	assert.Positive(t, report.Dynamism)
	assert.Contains(t, report.String(), "@step: loaded")
	for _, c := range []struct {
		rows  int
		scale float64
		mode  string
		k     int
	}{{2, 0.5, "rows", 1}, {5, 0.25, "rows", 2}, {9, 7, "rows", 3}, {100, 7, "rows", 50}, {5, 0.5, "sum", 3}} {
		sameOut(t, a.call(t, c.rows, c.scale, c.mode, c.k), b.call(t, c.rows, c.scale, c.mode, c.k))
	}
	assert.Zero(t, b.traces.Load(), "the function was traced")
	s := b.Traced().Stats()
	assert.Zero(t, s.Misses)
	assert.Empty(t, s.Recompiles)
	assert.Equal(t, []string{"loaded"}, s.Entries[0].Why)
	assert.Equal(t, "load", s.Entries[0].Cost[0].Stage)

	// What the guards say, they say as before: their texts, lines and reasons.
	for i, e := range a.Traced().Entries() {
		got := b.Traced().Entries()[i]
		require.Len(t, got.Guards.Guards, len(e.Guards.Guards))
		for k := range e.Guards.Guards {
			want, got := e.Guards.Guards[k], got.Guards.Guards[k]
			assert.Equal(t, want.Text(e.Traced.Schema), got.Text(e.Traced.Schema))
			assert.Equal(t, want.Reason, got.Reason)
			assert.Equal(t, want.Pos, got.Pos)
		}
	}
	assert.Equal(t, timeless(t, saved(t, a)), timeless(t, saved(t, b)), "what is saved again is not what was saved")
}

// timeless is a file's contents without what depends on when calls came.
func timeless(t *testing.T, file []byte) any {
	t.Helper()
	_, rest, _ := bytes.Cut(file, []byte("\n"))
	var f struct {
		Body struct {
			Dynamism any              `json:"dynamism"`
			Entries  []map[string]any `json:"entries"`
		} `json:"body"`
	}
	require.NoError(t, json.Unmarshal(rest, &f))
	require.NotEmpty(t, f.Body.Entries)
	for _, e := range f.Body.Entries {
		delete(e, "last_use")
		delete(e, "sizes")
	}
	return f
}

// A second Load adds nothing, and calls that the file does not cover are traced
// with what it knows: the size that was seen to change is a symbol at once.
func TestLoadKeepsWhatIsThere(t *testing.T) {
	a := newLearner(t, jitc.Options{})
	a.teach(t)
	file := saved(t, a)
	b := newLearner(t, jitc.Options{})
	b.call(t, 3, 0.5, "other", 1)
	for round := range 2 {
		report, err := b.Traced().Load(context.Background(), bytes.NewReader(file))
		require.NoError(t, err)
		assert.Equal(t, []int{len(a.Traced().Entries()), 0}[round], report.Entries)
		assert.Equal(t, []int{0, len(a.Traced().Entries())}[round], report.Known)
	}
	assert.EqualValues(t, 1, b.traces.Load())
	b.call(t, 4, 0.5, "other", 9)
	b.call(t, 6, 0.75, "other", 7)
	assert.EqualValues(t, 2, b.traces.Load(), "the sizes are dynamic, as the file says")
}

func TestLoadRespectsTheLimit(t *testing.T) {
	a := newLearner(t, jitc.Options{})
	a.teach(t)
	a.call(t, 5, 0.5, "third", 3)
	require.Greater(t, len(a.Traced().Entries()), 2)
	b := newLearner(t, jitc.Options{}, jitc.WithLimits(rt.Limits{Entries: 2, Recompiles: 1}))
	report, err := b.Traced().Load(context.Background(), bytes.NewReader(saved(t, a)))
	require.NoError(t, err)
	assert.Equal(t, 2, report.Entries)
	assert.Len(t, report.Skipped, len(a.Traced().Entries())-2)
	b.call(t, 5, 0.5, "third", 3)
	assert.Zero(t, b.traces.Load(), "the entry that was used last is not there")
	b.call(t, 5, 0.5, "fourth", 3)
	assert.EqualValues(t, 1, b.Traced().Stats().Made, "loaded entries are no recompiles")
}

// TestLoadInAnotherProcess runs this test again as a process of its own, which
// answers its first call from the file.
func TestLoadInAnotherProcess(t *testing.T) {
	const variable = "JITC_TEST_LEARNED"
	if path := os.Getenv(variable); path != "" {
		b := newLearner(t, jitc.Options{})
		report, err := b.Traced().LoadFile(context.Background(), path)
		require.NoError(t, err)
		require.Positive(t, report.Entries)
		b.call(t, 9, 0.5, "rows", 3)
		require.Zero(t, b.traces.Load(), "the function was traced")
		require.Zero(t, b.Traced().Stats().Misses)
		t.Log(report)
		return
	}
	a := newLearner(t, jitc.Options{})
	a.teach(t)
	path := filepath.Join(t.TempDir(), "step.learned")
	require.NoError(t, a.Traced().SaveFile(path))
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), variable+"="+path)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "@step: loaded")
	t.Logf("%s", out)
}

// TestSaveSkipsWhatOnlyTheProcessHas: captured tensors and variables.
func TestSaveSkipsWhatOnlyTheProcessHas(t *testing.T) {
	bias, err := jitc.From([]float32{1, 2, 3})
	require.NoError(t, err)
	precise := jitc.NewVar("precise", true)
	var traces atomic.Int32
	make := func() *jitc.F2[*jitc.Tensor, string, *jitc.Tensor] {
		e, err := jitc.NewEngine(jitc.Options{})
		require.NoError(t, err)
		t.Cleanup(e.Close)
		return jitc.Func2(e, func(x *jitc.Tensor, how string) *jitc.Tensor {
			traces.Add(1)
			switch how {
			case "captured":
				return x.Add(bias)
			case "variable":
				if precise.Get() {
					return x.Mul(3.0)
				}
			}
			return x.Mul(2.0)
		}, jitc.Name("f"))
	}
	call := func(f *jitc.F2[*jitc.Tensor, string, *jitc.Tensor], how string) {
		x, err := jitc.From([]float32{1, 2, 3})
		require.NoError(t, err)
		_, err = f.Call(context.Background(), x, how)
		require.NoError(t, err)
	}
	a, b := make(), make()
	for _, how := range []string{"captured", "variable", "plain"} {
		call(a, how)
	}
	var file bytes.Buffer
	require.NoError(t, a.Traced().Save(&file))
	report, err := b.Traced().Load(context.Background(), &file)
	require.NoError(t, err)
	assert.Equal(t, 1, report.Entries)
	require.Len(t, report.Skipped, 2)
	assert.Contains(t, report.Skipped[0], "entry 0: it uses 1 tensors that the function found outside its arguments")
	assert.Contains(t, report.Skipped[1], "variable precise")
	assert.Contains(t, report.String(), "skipped entry 0")
	before := traces.Load()
	call(b, "plain")
	assert.Equal(t, before, traces.Load())
	call(b, "captured")
	assert.Equal(t, before+1, traces.Load())
}

func TestSaveFile(t *testing.T) {
	a := newLearner(t, jitc.Options{})
	a.teach(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "step.learned")
	_, err := a.Traced().LoadFile(context.Background(), path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, a.Traced().SaveFile(path))
	require.NoError(t, a.Traced().SaveFile(path), "it takes the place of the old one")
	info, err := os.Stat(path)
	require.NoError(t, err)
	if os.PathSeparator == '/' {
		assert.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1, "temporary files are left")
	b := newLearner(t, jitc.Options{})
	report, err := b.Traced().LoadFile(context.Background(), path)
	require.NoError(t, err)
	assert.Positive(t, report.Entries)
	require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
	_, err = b.Traced().LoadFile(context.Background(), path)
	assert.ErrorContains(t, err, path)
	require.Error(t, a.Traced().SaveFile(filepath.Join(dir, "none", "f")))
}

// Save while other goroutines call and compile gives a file that loads.
func TestSaveBesideCalls(t *testing.T) {
	a := newLearner(t, jitc.Options{})
	var wg sync.WaitGroup
	for g := range 3 {
		wg.Go(func() {
			for i := range 12 {
				a.call(t, 1+(g+i)%5, float64(i), []string{"rows", "sum"}[i%2], i)
			}
		})
	}
	var files [][]byte
	for range 4 {
		files = append(files, saved(t, a))
	}
	wg.Wait()
	for _, file := range append(files, saved(t, a)) {
		b := newLearner(t, jitc.Options{})
		_, err := b.Traced().Load(context.Background(), bytes.NewReader(file))
		require.NoError(t, err)
	}
}

// Entries with frozen arguments, donated ones and buckets come back too.
func TestLoadOfOptions(t *testing.T) {
	type params struct{ W, B *jitc.Tensor }
	var traces atomic.Int32
	make := func() *jitc.F2[*jitc.Frozen[params], *jitc.Tensor, *jitc.Tensor] {
		e, err := jitc.NewEngine(jitc.Options{})
		require.NoError(t, err)
		t.Cleanup(e.Close)
		return jitc.Func2(e, func(p *jitc.Frozen[params], x *jitc.Tensor) *jitc.Tensor {
			traces.Add(1)
			return x.MatMul(p.Value().W).Add(p.Value().B)
		}, jitc.Name("dense"), jitc.Marks(jitc.Dynamic("1", 0, jitc.Dim("B")).Range(1, 64)), jitc.Bucket("B", jitc.PowersOfTwo(4)))
	}
	w, err := jitc.From(ramp(12), 4, 3)
	require.NoError(t, err)
	bias, err := jitc.From(ramp(3))
	require.NoError(t, err)
	frozen, err := jitc.Freeze(params{w, bias})
	require.NoError(t, err)
	run := func(f *jitc.F2[*jitc.Frozen[params], *jitc.Tensor, *jitc.Tensor], rows int) []float32 {
		x, err := jitc.From(ramp(4*rows), rows, 4)
		require.NoError(t, err)
		y, err := f.Call(context.Background(), frozen, x)
		require.NoError(t, err)
		d, err := jitc.Data[float32](y)
		require.NoError(t, err)
		return d
	}
	a, b := make(), make()
	run(a, 3)
	run(a, 7)
	var file bytes.Buffer
	require.NoError(t, a.Traced().Save(&file))
	report, err := b.Traced().Load(context.Background(), &file)
	require.NoError(t, err)
	assert.Equal(t, 1, report.Entries)
	assert.Equal(t, 2, report.Recordings)
	before := traces.Load()
	for _, rows := range []int{3, 5, 20} {
		assert.Equal(t, run(a, rows), run(b, rows))
	}
	assert.Equal(t, before, traces.Load())
	assert.Equal(t, 3, b.Traced().Stats().Recordings)
}

// Traces with control flow, data-dependent sizes, branches on sizes and constant
// data come back as well.
func TestLoadOfEveryKindOfTrace(t *testing.T) {
	type T = jitc.Tensor
	for name, fn := range map[string]func(x *T) *T{
		"cond": func(x *T) *T {
			return jitc.Cond(x.Sum().Gt(0), func() *T { return x.Mul(2) }, func() *T { return x.Neg() })
		},
		"while": func(x *T) *T {
			return jitc.While(x, func(c *T) *T { return c.Abs().Max().Gt(0.1) }, func(c *T) *T { return c.Mul(0.5) })
		},
		"scan": func(x *T) *T {
			_, all := jitc.Scan(jitc.Zeros(jitc.F32), x, func(c, v *T) (*T, *T) { s := c.Add(v); return s, s.Mul(2) })
			return all
		},
		"chain": func(x *T) *T { return x.MaskedSelect(x.Gt(0)).Mul(3) },
		"branch": func(x *T) *T {
			if x.Size(0).Greater(4) {
				return x.Sum(0)
			}
			return x.Max(0)
		},
	} {
		var traces atomic.Int32
		make := func() *jitc.F1[*T, *T] {
			e, err := jitc.NewEngine(jitc.Options{})
			require.NoError(t, err)
			t.Cleanup(e.Close)
			return jitc.Func1(e, func(x *T) *T { traces.Add(1); return fn(x) }, jitc.Name("f"))
		}
		run := func(f *jitc.F1[*T, *T], n int) []float32 {
			x, err := jitc.From(ramp(n), n)
			require.NoError(t, err)
			y, err := f.Call(context.Background(), x)
			require.NoError(t, err, name)
			d, err := jitc.Data[float32](y)
			require.NoError(t, err)
			return d
		}
		a, b := make(), make()
		for _, n := range []int{3, 5, 7, 4} {
			run(a, n)
		}
		var file bytes.Buffer
		require.NoError(t, a.Traced().Save(&file))
		report, err := b.Traced().Load(context.Background(), &file)
		require.NoError(t, err, name)
		assert.Equal(t, len(a.Traced().Entries()), report.Entries, name)
		assert.Empty(t, report.Skipped, name)
		before := traces.Load()
		for _, n := range []int{3, 5, 9, 2} {
			assert.Equal(t, run(a, n), run(b, n), name)
		}
		assert.Equal(t, before, traces.Load(), name)
	}
}

func TestFunctionKeepsItsSizes(t *testing.T) {
	parse := func(text string) *ir.Func {
		f, _, diags := ir.Parse("f.trace", text)
		require.NoError(t, diags.Err())
		return f
	}
	const text = "func @f(%x: f32[B,4]) -> f32[B,4] {\n  %y: f32[B,4] = exp(%x)\n  return %y\n}\n"
	e, err := jitc.NewEngine(jitc.Options{})
	require.NoError(t, err)
	defer e.Close()
	a := e.Function(parse(text))
	for _, n := range []int{2, 7} {
		_, err := a.Call(context.Background(), tensor.New(tensor.F32, n, 4))
		require.NoError(t, err)
	}
	path := filepath.Join(t.TempDir(), "f.learned")
	require.NoError(t, a.SaveFile(path))
	b := e.Function(parse(text))
	report, err := b.LoadFile(context.Background(), path)
	require.NoError(t, err)
	assert.Equal(t, 1, report.Entries)
	assert.Equal(t, 2, report.Recordings)
	_, err = b.Call(context.Background(), tensor.New(tensor.F32, 7, 4))
	require.NoError(t, err)
	s := b.Stats()
	assert.Zero(t, s.Misses)
	assert.EqualValues(t, 1, s.Hits.Tree)
	assert.Equal(t, 2, s.Recordings)

	other := e.Function(parse(strings.Replace(text, "exp", "log", 1)))
	_, err = other.LoadFile(context.Background(), path)
	var bad *jitc.FileError
	require.ErrorAs(t, err, &bad)
	assert.Equal(t, "trace", bad.What)
}
