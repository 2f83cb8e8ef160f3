package trace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/diag"
	"jitc/ir/tensor"
)

const layer = `weights "layer.npz"
func @layer(
    %x: f32[B,4],
    %w: f32[N,4] {weight="fc.weight"},
    %noise: f32[B,N] {init="uniform", hi=1.0, lo=-1.0, seed=3},
) -> f32[B,N]
    where B in [1, 8], B % 2 == 0 {
  %0: f32[B,N] = linear(%x, %w)
  %1: f32[B,N] = add(%0, %noise)
  return %1
}
`

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("layer.trace", text)
	require.NoError(t, err)
	return f
}

func f32(shape ...int) *tensor.Tensor { return tensor.Arange(tensor.F32, shape...) }

// archive writes tensors to a file of the extension and opens it.
func archive(t *testing.T, ext string, tensors map[string]*tensor.Tensor) tensor.Archive {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weights"+ext)
	require.NoError(t, tensor.WriteFile(path, tensors))
	a, err := tensor.OpenFile(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	return a
}

func TestArguments(t *testing.T) {
	for _, ext := range []string{".npz", ".safetensors"} {
		w := f32(3, 4)
		var steps []string
		args, sizes, err := parse(t, layer).Arguments(Sources{
			Inputs:   map[string]*tensor.Tensor{"x": f32(2, 4)},
			Weights:  []tensor.Archive{archive(t, ext, map[string]*tensor.Tensor{"other": f32(1)}), archive(t, ext, map[string]*tensor.Tensor{"fc.weight": w})},
			Progress: func(done, total int, name string) { steps = append(steps, name); assert.Equal(t, 3, total) },
		})
		require.NoError(t, err)
		assert.Equal(t, map[string]int64{"B": 2, "N": 3}, sizes)
		assert.Equal(t, []string{"x", "w", "noise"}, steps)
		require.NoError(t, tensor.Check(args[1], w, tensor.Exact))
		want, err := tensor.Generate(tensor.Rule{Kind: "uniform", Seed: 3, Lo: -1, Hi: 1}, tensor.F32, []int{2, 3})
		require.NoError(t, err)
		require.NoError(t, tensor.Check(args[2], want, tensor.Exact), "its size follows from an input and from a weight's file")
	}
}

func TestArgumentFaultsShowTheParameter(t *testing.T) {
	weights := map[string]*tensor.Tensor{"fc.weight": f32(3, 4)}
	x := map[string]*tensor.Tensor{"x": f32(2, 4)}
	cases := []struct {
		name    string
		inputs  map[string]*tensor.Tensor
		weights map[string]*tensor.Tensor
		sizes   map[string]int64
		want    string
	}{
		{"missing input", nil, weights, nil, `layer.trace:3:5: error: no tensor for the input %x
  3 |     %x: f32[B,4],
    |     ^^
  expected  f32[B,4]
  got       nothing
  hint      give one (--input x=FILE), or a rule in the trace ({init="normal", seed=1})`},
		{"element type", map[string]*tensor.Tensor{"x": tensor.Arange(tensor.F16, 2, 4)}, weights, nil, `layer.trace:3:5: error: the input for %x has the wrong type
  3 |     %x: f32[B,4],
    |     ^^
  expected  f32[B,4]
  got       f16[2,4]`},
		{"rank", map[string]*tensor.Tensor{"x": f32(8)}, weights, nil, `layer.trace:3:5: error: the input for %x has the wrong type
  3 |     %x: f32[B,4],
    |     ^^
  expected  f32[B,4]
  got       f32[8]`},
		{"constant size", map[string]*tensor.Tensor{"x": f32(2, 5)}, weights, nil, `layer.trace:3:5: error: %x: wrong size on axis 1
  3 |     %x: f32[B,4],
    |     ^^
  expected  f32[B,4]
  got       f32[2,5]`},
		{"size given differs", x, weights, map[string]int64{"B": 4}, `layer.trace:3:5: error: %x: wrong size on axis 0
  3 |     %x: f32[B,4],
    |     ^^
  expected  f32[B,4] where B is 4
  got       f32[2,4]`},
		{"range", map[string]*tensor.Tensor{"x": f32(10, 4)}, weights, nil, `layer.trace:3:5: error: %x: a size violates a declared fact
  3 |     %x: f32[B,4],
    |     ^^
  expected  B in [1, 8]
  got       B = 10`},
		{"divisor", map[string]*tensor.Tensor{"x": f32(3, 4)}, weights, nil, `  expected  B % 2 == 0
  got       B = 3`},
		{"missing weight", x, map[string]*tensor.Tensor{"fc.bias": f32(3), "fc.wieght": f32(3, 4)}, map[string]int64{"N": 3}, `layer.trace:4:5: error: no weight "fc.weight" for %w
  4 |     %w: f32[N,4] {weight="fc.weight"},
    |     ^^
  expected  f32[N,4]
  got       nothing
  hint      the files hold fc.bias, fc.wieght`},
		{"no weights at all", x, nil, map[string]int64{"N": 3}, `hint      name the file: --weights FILE, or weights "FILE" at the head of the trace`},
		{"weight's type", x, map[string]*tensor.Tensor{"fc.weight": tensor.Arange(tensor.F64, 3, 4)}, nil, `layer.trace:4:5: error: weight "fc.weight" does not fit %w
  4 |     %w: f32[N,4] {weight="fc.weight"},
    |     ^^
  expected  f32[N,4]
  got       f64[3,4]`},
		{"weight's size", x, map[string]*tensor.Tensor{"fc.weight": f32(3, 5)}, nil, `layer.trace:4:5: error: %w: wrong size on axis 1
  4 |     %w: f32[N,4] {weight="fc.weight"},
    |     ^^
  expected  f32[N,4]
  got       f32[3,5]`},
		{"unknown input", map[string]*tensor.Tensor{"x": f32(2, 4), "y": f32(1), "z": f32(1)}, weights, nil, `layer.trace: no parameter %y: the inputs are %x`},
		{"unknown size", x, weights, map[string]int64{"M": 1, "Q": 2}, `layer.trace: no size M: the sizes are B, N`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := Sources{Inputs: c.inputs, Sizes: c.sizes}
			if c.weights != nil {
				s.Weights = []tensor.Archive{archive(t, ".npz", c.weights)}
			}
			_, _, err := parse(t, layer).Arguments(s)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestGeneratedParameters(t *testing.T) {
	f := parse(t, `func @f(%x: f32[B,T] {init="normal"}, %one: i64[S] {init="ones"}) -> f32[B,T]
    where B in [1, 8], T == 2*B, S in [5, 5] {
  return %x
}`)
	_, _, err := f.Arguments(Sources{})
	require.EqualError(t, err, `layer.trace:1:9: error: the size B of %x is not known
  1 | func @f(%x: f32[B,T] {init="normal"}, %one: i64[S] {init="ones"}) -> ...
    |         ^^
  got       f32[B,T]
  hint      give it: --dim B=N, with B in [1, 8]`)
	args, sizes, err := f.Arguments(Sources{Sizes: map[string]int64{"B": 3}})
	require.NoError(t, err)
	assert.Equal(t, []int{3, 6}, args[0].Shape(), "an equality gives a size")
	assert.Equal(t, []int{5}, args[1].Shape(), "a range of one value gives a size")
	assert.Equal(t, map[string]int64{"B": 3, "T": 6, "S": 5}, sizes)

	_, _, err = f.Arguments(Sources{Sizes: map[string]int64{"B": 9}})
	require.ErrorContains(t, err, "expected  B in [1, 8]\n  got       B = 9")
	_, _, err = f.Arguments(Sources{Sizes: map[string]int64{"B": -1}})
	require.Error(t, err)
}

// A fact that the sizes break is found before a tensor is generated.
func TestFactsAreCheckedBeforeGenerating(t *testing.T) {
	f := parse(t, `func @f(%big: f32[N,N] {init="normal"}, %x: f32[2*B,4]) -> f32[2*B,4]
    where N in [1, 1048576], B in [1, 8] {
  return %x
}`)
	var steps []string
	s := Sources{
		Inputs:   map[string]*tensor.Tensor{"x": f32(20, 4)},
		Sizes:    map[string]int64{"N": 1 << 20},
		Progress: func(_, _ int, name string) { steps = append(steps, name) },
	}
	_, _, err := f.Arguments(s)
	require.ErrorContains(t, err, "%x: a size violates a declared fact")
	require.ErrorContains(t, err, "expected  B in [1, 8]\n  got       B = 10")
	assert.Empty(t, steps)

	s.Inputs["x"] = f32(3, 4)
	_, _, err = f.Arguments(s)
	require.ErrorContains(t, err, "%x: wrong size on axis 0")
	require.ErrorContains(t, err, "expected  f32[2*B,4] for an integer B >= 0\n  got       f32[3,4]")
	assert.Empty(t, steps)
}

func TestGeneratorMistakes(t *testing.T) {
	for attrs, want := range map[string]string{
		`init="uniform", lo=2.0, hi=1.0`: "expected Lo < Hi",
		`init="normal", std=-1.0`:        "expected Std > 0",
		`init="ints", lo=0.5`:            "expected whole Lo and Hi",
	} {
		f := parse(t, "func @f(\n    %x: f32[4] {"+attrs+"},\n) -> f32[4] {\n  return %x\n}")
		_, _, err := f.Arguments(Sources{})
		require.ErrorContains(t, err, "layer.trace:2:5: error: cannot generate %x: ")
		require.ErrorContains(t, err, want)
	}
	f := parse(t, "func @f(%x: f32[1099511627776,1099511627776] {init=\"ones\"}) -> f32[] {\n  %0: f32[] = constant() {value=1}\n  return %0\n}")
	_, _, err := f.Arguments(Sources{})
	require.ErrorContains(t, err, "%x is too large to generate")
}

func TestParametersWithoutNames(t *testing.T) {
	f := parse(t, "func @f(%5: f32[N], %b: f32[N], %9: f32[N]) -> f32[N] {\n  return %9\n}")
	assert.Equal(t, []string{"%0", "%b", "%1"}, f.InputNames())
	_, _, err := f.Arguments(Sources{Inputs: map[string]*tensor.Tensor{"0": f32(2), "b": f32(2)}})
	require.ErrorContains(t, err, "no tensor for the input %1")
	args, _, err := f.Arguments(Sources{Inputs: map[string]*tensor.Tensor{"0": f32(2), "b": f32(2), "1": f32(2)}})
	require.NoError(t, err)
	require.Len(t, args, 3)
	_, _, err = f.Arguments(Sources{Inputs: map[string]*tensor.Tensor{"0": f32(2), "b": f32(2), "1": f32(3)}})
	require.ErrorContains(t, err, "%1: wrong size on axis 0")
}

// An archive whose file is cut short gives an error that names the file.
func TestTruncatedWeights(t *testing.T) {
	for _, ext := range []string{".npz", ".safetensors"} {
		path := filepath.Join(t.TempDir(), "weights"+ext)
		require.NoError(t, tensor.WriteFile(path, map[string]*tensor.Tensor{"fc.weight": f32(3, 4)}))
		whole, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, n := range []int{0, 7, len(whole) / 2, len(whole) - 1} {
			require.NoError(t, os.WriteFile(path, whole[:n], 0o600))
			a, err := tensor.OpenFile(path)
			if err == nil {
				_, _, err = parse(t, layer).Arguments(Sources{Inputs: map[string]*tensor.Tensor{"x": f32(2, 4)}, Weights: []tensor.Archive{a}})
				require.NoError(t, a.Close())
			}
			require.ErrorContains(t, err, "weights"+ext, "%d of %d bytes", n, len(whole))
		}
	}
}

// A position that "at" gave is of another text: its line is not shown.
func TestFaultsElsewhere(t *testing.T) {
	f := parse(t, "func @f(%x: f32[4] at \"model.py\":1:1) -> f32[4] {\n  return %x\n}")
	_, _, err := f.Arguments(Sources{})
	require.ErrorContains(t, err, "model.py:1:1: error: no tensor for the input %x\n  expected")
	f = parse(t, "func @f(%x: f32[4] at \"layer.trace\":99:1) -> f32[4] {\n  return %x\n}")
	_, _, err = f.Arguments(Sources{})
	require.ErrorContains(t, err, "layer.trace:99:1: error")
}

func TestReadErrors(t *testing.T) {
	_, err := Read(filepath.Join(t.TempDir(), "none.trace"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "cannot read the trace")
	_, err = Read(t.TempDir())
	require.Error(t, err)

	path := filepath.Join(t.TempDir(), "bad.trace")
	require.NoError(t, os.WriteFile(path, []byte("func @f(%x: f32[4]) -> f32[4] {\n  return %y\n}\n"), 0o600))
	_, err = Read(path)
	var list diag.List
	require.ErrorAs(t, err, &list)
	require.Len(t, list, 1)
	assert.Equal(t, path, list[0].Pos.File)
}

func TestWeightsPathIsRelativeToTheTrace(t *testing.T) {
	f := parse(t, layer)
	f.Path = filepath.Join("a", "b", "layer.trace")
	assert.Equal(t, filepath.Join("a", "b", "layer.npz"), f.WeightsPath())
	abs := filepath.Join(t.TempDir(), "w.npz")
	f.Source.Weights = abs
	assert.Equal(t, abs, f.WeightsPath())
	f.Source.Weights = ""
	assert.Empty(t, f.WeightsPath())
	assert.True(t, strings.HasPrefix(parse(t, layer).Format(), "weights \"layer.npz\"\n"))
}
