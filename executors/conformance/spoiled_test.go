package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/conformance"
	"jitc/executors/reference"
	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// executor is the reference, that takes regions of several values too, with
// hooks to plant mistakes.
type executor struct {
	reference.Executor
	claim   func(v *ir.Value, c fusion.Claim) fusion.Claim
	rewrite func(region *ir.Func) *ir.Func
	bind    func(k executors.Kernel, sizes map[string]int64) (executors.Launch, error)
	scratch int
	// run is called behind the reference's own Run.
	run     func(r run)
	before  func(r run)
	info    func(i *executors.Info)
	assumes []executors.Assumption
	cancel  error // what Compile gives for a context that is done
}

// run is one run of a launch, seen by a planted mistake.
type run struct {
	region  *ir.Func
	launch  *launch
	inputs  [][]byte
	results [][]byte
	scratch []byte
	workers executors.Workers
}

func (e executor) Claim(v *ir.Value) fusion.Claim {
	c := e.Executor.Claim(v)
	if c.Level == fusion.Alone {
		c.Level = fusion.Fusible
	}
	if e.claim != nil {
		c = e.claim(v, c)
	}
	return c
}

func (e executor) Compile(ctx context.Context, region *ir.Func, o executors.Options) (executors.Kernel, error) {
	if ctx.Err() != nil && e.cancel != nil {
		return nil, e.cancel
	}
	if e.rewrite != nil {
		region = e.rewrite(region)
	}
	k, err := e.Executor.Compile(ctx, region, o)
	return &kernel{Kernel: k, e: e, region: region}, err
}

type kernel struct {
	executors.Kernel
	e      executor
	region *ir.Func
}

func (k *kernel) Bind(sizes map[string]int64) (executors.Launch, error) {
	bind := func(k executors.Kernel, sizes map[string]int64) (executors.Launch, error) { return k.Bind(sizes) }
	if k.e.bind != nil {
		bind = k.e.bind
	}
	l, err := bind(k.Kernel, sizes)
	return &launch{Launch: l, k: k}, err
}

func (k *kernel) Info() executors.Info {
	i := k.Kernel.Info()
	if k.e.info != nil {
		k.e.info(&i)
	}
	return i
}

type launch struct {
	executors.Launch
	k       *kernel
	running atomic.Int32
}

func (l *launch) ScratchBytes(int) int { return l.k.e.scratch }

func (l *launch) Assumes() []executors.Assumption { return l.k.e.assumes }

func (l *launch) Run(bufs [][]byte, scratch []byte, w executors.Workers) error {
	n := len(l.k.region.Params)
	r := run{l.k.region, l, bufs[:n], bufs[n:], scratch, w}
	if l.k.e.before != nil {
		l.k.e.before(r)
	}
	var err error
	w.Run(1, func(int, int) { err = l.Launch.Run(bufs, scratch, w) })
	if err == nil && l.k.e.run != nil {
		l.k.e.run(r)
	}
	return err
}

// recorder takes the place of a *testing.T.
type recorder struct{ errors, logs []string }

func (*recorder) Helper() {}

func (r *recorder) Logf(format string, args ...any) {
	r.logs = append(r.logs, fmt.Sprintf(format, args...))
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// few are ops of every family, so that a spoiled executor fails soon.
var few = []ir.Op{ir.OpExp, ir.OpAdd, ir.OpMax, ir.OpDiv, ir.OpSelect, ir.OpIsNaN, ir.OpReduceSum, ir.OpReduceMax,
	ir.OpDotGeneral, ir.OpTranspose, ir.OpGather, ir.OpConcat, ir.OpSoftmax}

// someDTypes keep the tests of the suite short.
var someDTypes = []tensor.DType{tensor.Bool, tensor.U8, tensor.I32, tensor.F16, tensor.F32}

func eachResult(r run, f func(t ir.Type, data []byte)) {
	for i, v := range r.region.Results {
		f(v.Type, r.results[i])
	}
}

// floats overwrites float results by what f makes of them.
func floats(r run, f func(x float64) float64) {
	eachResult(r, func(t ir.Type, data []byte) {
		n := len(data) / t.DType.Size()
		x, err := tensor.FromBytes(t.DType, []int{n}, data)
		if err != nil || !t.DType.IsFloat() {
			return
		}
		xs := tensor.Floats(x)
		for i := range xs {
			xs[i] = f(xs[i])
		}
		out, _ := tensor.FromFloats(t.DType, []int{n}, xs).Bytes()
		copy(data, out)
	})
}

// without removes ops of one kind from a region: uses take the first operand.
func without(op ir.Op) func(*ir.Func) *ir.Func {
	return func(f *ir.Func) *ir.Func {
		g, of := ir.NewFunc(f.Name, f.Facts), map[*ir.Value]*ir.Value{}
		b := ir.NewBuilder(g)
		for _, p := range f.Params {
			of[p] = g.AddParam("", p.Type, nil)
		}
		for _, v := range f.Values {
			if v.Op == op && len(f.Values) > 1 {
				of[v] = of[v.Args[0]]
				continue
			}
			args := make([]*ir.Value, len(v.Args))
			for i, a := range v.Args {
				args[i] = of[a]
			}
			of[v] = b.Clone(v, args)
		}
		for _, r := range f.Results {
			g.Results = append(g.Results, of[r])
		}
		return g
	}
}

func lastByte(data []byte, f func(b byte) byte) {
	if len(data) > 0 {
		data[len(data)-1] = f(data[len(data)-1])
	}
}

var runs atomic.Int64

// spoiled are executors with one mistake each, and a part of the failure that
// the suite must report.
var spoiled = []struct {
	name string
	e    executor
	want string
}{
	{"last element of a ragged vector", executor{run: func(r run) {
		eachResult(r, func(t ir.Type, data []byte) {
			if n := len(data) / t.DType.Size(); n > 64 && n%8 != 0 {
				lastByte(data, func(b byte) byte { return b ^ 1 })
			}
		})
	}}, "tensors differ"},
	{"odd rows", executor{run: func(r run) {
		eachResult(r, func(t ir.Type, data []byte) {
			if n := t.Rank(); n > 0 {
				if last, ok := t.Shape[n-1].Const(); ok && last%2 == 1 && last > 4 {
					lastByte(data, func(b byte) byte { return b ^ 1 })
				}
			}
		})
	}}, "tensors differ"},
	{"one ulp of an exact op", executor{run: func(r run) {
		if len(r.region.Values) == 1 && r.region.Values[0].Op == ir.OpDiv && len(r.results[0]) > 0 {
			r.results[0][0] ^= 1
		}
	}}, "tensors differ"},
	{"loses NaN", executor{run: func(r run) {
		floats(r, func(x float64) float64 {
			if x != x {
				return 0
			}
			return x
		})
	}}, "got 0, want NaN"},
	{"loses the sign of zero", executor{run: func(r run) { floats(r, func(x float64) float64 { return x + 0 }) }}, "got 0, want -0"},
	{"flushes subnormals", executor{run: func(r run) {
		floats(r, func(x float64) float64 {
			if math.Abs(x) < 0x1p-14 && math.Abs(x) > 0 {
				return math.Copysign(0, x)
			}
			return x
		})
	}}, "tensors differ"},
	{"infinity is the largest number", executor{run: func(r run) {
		floats(r, func(x float64) float64 {
			if math.IsInf(x, 0) {
				return math.Copysign(448, x)
			}
			return x
		})
	}}, "Inf"},
	{"relative error of 1e-4", executor{run: func(r run) { floats(r, func(x float64) float64 { return x * (1 + 1e-4) }) }}, "tensors differ"},
	{"writes behind a result", executor{run: func(r run) {
		eachResult(r, func(t ir.Type, data []byte) { data[:len(data)+1][len(data)] = 0 })
	}}, "wrote outside of result 0: its byte"},
	{"writes behind the scratch", executor{scratch: 100, run: func(r run) { r.scratch[:101][100] = 0 }}, "wrote outside of the scratch memory: its byte 100 of 100"},
	{"too little scratch", executor{scratch: 10, run: func(r run) { _ = r.scratch[10:11:11][0] + r.scratch[1<<20] }}, "Run panicked"},
	{"modifies an operand", executor{run: func(r run) {
		for _, in := range r.inputs {
			lastByte(in, func(b byte) byte { return b ^ 1 })
		}
	}}, "was modified"},
	{"leaves a result unwritten", executor{run: func(r run) {
		eachResult(r, func(t ir.Type, data []byte) {
			for i := range data {
				data[i] = 0x5A
			}
		})
	}}, "tensors differ"},
	{"a bool of 255", executor{run: func(r run) {
		eachResult(r, func(t ir.Type, data []byte) {
			if t.DType == tensor.Bool && len(data) > 3 {
				data[3] = 255 * (data[3] & 1)
			}
		})
	}}, "of a bool is the byte 0xff"},
	{"depends on the number of workers", executor{run: func(r run) {
		if r.workers.Workers() > 1 && r.region.Values[0].Op == ir.OpReduceSum {
			lastByte(r.results[0], func(b byte) byte { return b ^ 1 })
		}
	}}, "depends on more than the operands (2 workers"},
	{"depends on the run", executor{run: func(r run) {
		if runs.Add(1)%2 == 0 && r.region.Values[0].Op == ir.OpSoftmax && len(r.results[0]) > 0 {
			r.results[0][0] ^= 1
		}
	}}, "depends on more than the operands"},
	{"runs of one launch share memory", executor{before: func(r run) { r.launch.running.Add(1) }, run: func(r run) {
		if r.region.Values[0].Op == ir.OpAdd {
			time.Sleep(100 * time.Microsecond) // so that runs meet
		}
		if r.launch.running.Load() > 1 {
			lastByte(r.results[0], func(b byte) byte { return b ^ 1 })
		}
		r.launch.running.Add(-1)
	}}, "several goroutines at once"},
	{"keeps the first sizes", executor{bind: firstSizes()}, "sizes map"},
	{"forgets transposes", executor{rewrite: without(ir.OpTranspose)}, "transposed"},
	{"forgets reversals", executor{rewrite: without(ir.OpReverse)}, "reversed"},
	{"forgets the prologue", executor{rewrite: func(f *ir.Func) *ir.Func {
		if len(f.Values) > 3 && f.Values[len(f.Values)-1].Op == ir.OpAdd {
			return without(ir.OpMax)(f)
		}
		return f
	}}, "fused"},
	{"forgets the epilogue", executor{rewrite: func(f *ir.Func) *ir.Func {
		if len(f.Values) > 1 && f.Values[len(f.Values)-1].Op == ir.OpAdd {
			return without(ir.OpAdd)(f)
		}
		return f
	}}, "fused"},
	{"refuses without a reason", executor{claim: func(v *ir.Value, c fusion.Claim) fusion.Claim {
		if v.Op == ir.OpGather {
			return fusion.Claim{}
		}
		return c
	}}, "refused without a reason"},
	{"refuses what it must claim", executor{claim: func(v *ir.Value, c fusion.Claim) fusion.Claim {
		if v.Op == ir.OpExp && v.Type.DType == tensor.F16 {
			return fusion.Claim{Why: "no half"}
		}
		return c
	}}, "refused, but must be claimed: no half"},
	{"claims by name", executor{claim: func(v *ir.Value, c fusion.Claim) fusion.Claim {
		if v.Name != "" {
			return fusion.Claim{Why: "its name"}
		}
		return c
	}}, "the claim depends on more than op, attributes and types"},
	{"claims parameters", executor{claim: func(*ir.Value, fusion.Claim) fusion.Claim { return fusion.Claim{Level: fusion.Alone} }}, "a parameter is alone"},
	{"panics", executor{run: func(r run) { panic("at run time") }}, "Run panicked: at run time"},
	{"panics in Bind", executor{bind: func(executors.Kernel, map[string]int64) (executors.Launch, error) { panic("no") }}, "Bind panicked: no"},
	{"refuses sizes", executor{bind: func(k executors.Kernel, sizes map[string]int64) (executors.Launch, error) {
		for _, n := range sizes {
			if n == 67 {
				return nil, errors.New("a prime")
			}
		}
		return k.Bind(sizes)
	}}, "bind: a prime"},
	{"binds without sizes", executor{bind: func(k executors.Kernel, sizes map[string]int64) (executors.Launch, error) {
		if l, err := k.Bind(sizes); err == nil {
			return l, nil
		}
		return nil, nil
	}}, "binding without the symbols' values gives no error"},
	{"assumes without a name", executor{assumes: []executors.Assumption{{}}}, "does not say what for"},
	{"assumes what is not so", executor{assumes: []executors.Assumption{{What: "luck", Conds: []dim.Constraint{
		dim.Eq(dim.Const(0), dim.Const(1))}}}}, "where it does not hold (luck)"},
	{"own error for a cancelled context", executor{cancel: errors.New("never mind")}, "expected an error that wraps context.Canceled, got never mind"},
	{"another's name", executor{info: func(i *executors.Info) { i.Executor = "" }}, "info says executor"},
}

// firstSizes binds a kernel at the first sizes that it is given, whatever comes.
func firstSizes() func(k executors.Kernel, sizes map[string]int64) (executors.Launch, error) {
	seen := map[executors.Kernel]map[string]int64{}
	return func(k executors.Kernel, sizes map[string]int64) (executors.Launch, error) {
		if len(sizes) == 0 {
			return k.Bind(sizes)
		}
		if seen[k] == nil {
			seen[k] = maps.Clone(sizes)
		}
		return k.Bind(seen[k])
	}
}

func all(*ir.Value) bool { return true }

func TestSpoiledExecutorsFail(t *testing.T) {
	for _, c := range spoiled {
		t.Run(c.name, func(t *testing.T) {
			var r recorder
			conformance.Check(&r, c.e, conformance.Options{Ops: few, DTypes: someDTypes, MustClaim: all})
			require.NotEmpty(t, r.errors)
			found := false
			for _, e := range r.errors {
				found = found || strings.Contains(e, c.want)
			}
			require.True(t, found, "no failure says %q; the first: %s", c.want, r.errors[0])
		})
	}
}

// The executor without a mistake passes, so that it is the mistake that fails.
func TestUnspoiledExecutorPasses(t *testing.T) {
	for _, e := range []executor{{}, {cancel: fmt.Errorf("stopped: %w", context.Canceled)}, {scratch: 1000}} {
		var r recorder
		conformance.Check(&r, e, conformance.Options{Ops: few, DTypes: someDTypes, MustClaim: all})
		require.Empty(t, r.errors)
	}
}
