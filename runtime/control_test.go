package runtime

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/reference"
	"jitc/ir"
	"jitc/ir/tensor"
)

// linkText links a function in the Fused dialect over the reference executor, its
// bodies too.
func linkText(t *testing.T, text string) *Program {
	t.Helper()
	f, _, diags := ir.Parse("in.trace", text)
	require.Empty(t, diags)
	require.NoError(t, ir.Verify(f, ir.Fused))
	return linkFunc(t, f)
}

func linkFunc(t *testing.T, f *ir.Func) *Program {
	t.Helper()
	steps := map[int]Step{}
	for _, v := range f.Values {
		switch {
		case v.Op == ir.OpFused:
			k, err := reference.Executor{}.Compile(context.Background(), v.Bodies[0], executors.Options{})
			require.NoError(t, err)
			steps[v.ID] = Step{Kernel: k}
		case v.Is(ir.Control):
			step := Step{}
			for _, body := range v.Bodies {
				step.Bodies = append(step.Bodies, linkFunc(t, body))
			}
			steps[v.ID] = step
		}
	}
	p, err := Link(f, steps)
	require.NoError(t, err)
	return p
}

// A scan whose body has an intermediate of 4*N bytes.
const scanText = `func @f(%c: f32[N], %xs: f32[S,N], %d: f32[N]) -> (f32[N], f32[N])
    where N in [1, 4096], S in [0, 100] {
  %e: f32[N] = fused(%c) func(%a: f32[N]) -> f32[N] {
    %b: f32[N] = abs(%a)
    return %b
  }
  %r: f32[N] = scan(%e, %xs) {carries=1, inputs=1, length=[S]} func(%c: f32[N], %x: f32[N]) -> f32[N] {
    %m: f32[N] = fused(%c, %x) func(%c: f32[N], %x: f32[N]) -> f32[N] {
      %s: f32[N] = add(%c, %x)
      return %s
    }
    %n: f32[N] = fused(%m, %c) func(%m: f32[N], %c: f32[N]) -> f32[N] {
      %s: f32[N] = mul(%m, %c)
      return %s
    }
    return %n
  }
  %g: f32[N] = fused(%r, %d) func(%a: f32[N], %d: f32[N]) -> f32[N] {
    %b: f32[N] = add(%a, %d)
    return %b
  }
  return %g, %r
}
`

// The step's work holds the second copy of the carry, if there is a second
// iteration, and the body's arena; it lives during the step.
func TestControlWorkIsPlanned(t *testing.T) {
	p := linkText(t, scanText)
	require.Len(t, p.Steps, 3)
	assert.Equal(t, "scan at in.trace:7:3", p.Steps[1].String())
	for s, want := range map[int64]int{0: 4096, 1: 4096, 2: 8192, 9: 8192} {
		r := record(t, p, map[string]int64{"N": 1024, "S": s})
		var work []PlannedBlock
		for _, b := range r.Plan() {
			if b.Result < 0 {
				work = append(work, b)
			}
		}
		require.Len(t, work, 1)
		assert.Equal(t, want, work[0].Bytes, "S=%d", s)
		assert.Equal(t, [2]int{1, 1}, [2]int{work[0].First, work[0].Last})
		assert.Same(t, p.Steps[1].Region, work[0].Region)
		assert.Equal(t, r.Arena, r.Live, "the work takes no more than it needs")
	}
}

// However many iterations there are, the last one's carry is the result, and the
// operand stays as it was.
func TestScanAlternatesItsCarries(t *testing.T) {
	p := linkText(t, scanText)
	for s := range 6 {
		args := []*tensor.Tensor{tensor.FromFloats(tensor.F32, []int{2}, []float64{1, -2}),
			tensor.Fill(tensor.F32, []int{s, 2}, 1), tensor.Fill(tensor.F32, []int{2}, 1)}
		want, err := ir.Eval(p.F, args, nil)
		require.NoError(t, err)
		r := record(t, p, map[string]int64{"N": 2, "S": int64(s)})
		for range 2 {
			got := mustRun(t, r, args...)
			require.Nil(t, tensor.CompareAll(got, want, tensor.Exact), "S=%d", s)
		}
		assert.Equal(t, []float64{1, -2}, tensor.Floats(args[0]))
	}
}

// A result may take the memory of a donated argument only if control flow has
// read it before the result's step.
func TestControlReadsDonatedArguments(t *testing.T) {
	p := linkText(t, scanText)
	sizes := map[string]int64{"N": 8, "S": 3}
	r, err := p.Donate([]int{0, 2}).Record(sizes, 1)
	require.NoError(t, err)
	donated := r.Donated()
	assert.Equal(t, 0, donated[1], "c is read by the step before the scan")
	assert.NotEqual(t, 2, donated[0], "d is read by the step that writes the result")
}

// What goes wrong in a body names the step, the body's step and the function.
func TestControlErrorsNameTheBody(t *testing.T) {
	p := linkText(t, scanText)
	body := p.Steps[1].Bodies[0]
	body.Steps[1].Kernel = &fake{scratch: 256, run: func(map[string]int64, [][]byte, []byte) error { return errors.New("it fails") }}
	r := record(t, p, map[string]int64{"N": 2, "S": 2})
	assert.Equal(t, 256, r.Scratch, "kernels in bodies share the scratch")
	args := []*tensor.Tensor{tensor.Fill(tensor.F32, []int{2}, 1), tensor.Fill(tensor.F32, []int{2, 2}, 1), tensor.Fill(tensor.F32, []int{2}, 1)}
	err := r.Run(args, r.Results(), serial{})
	require.EqualError(t, err, "@f: scan at in.trace:7:3: region at in.trace:12:5: it fails")
}
