package trace_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/tensor"
	"jitc/trace"
)

// bare is a function without names and rules for its inputs, to compare programs
// by what they compute.
func bare(f *ir.Func) string {
	for _, v := range append(f.Params, f.Values...) {
		v.Name = ""
		if v.Op == ir.OpParam {
			v.Attrs = nil
		}
	}
	return f.String()
}

type layer struct{ ln1w, ln1b, attnw, attnb, projw, projb, ln2w, ln2b, fcw, fcb, outw, outb *trace.Tensor }

// block is a layer of GPT-2 as a user writes it.
func (l layer) block(x *trace.Tensor, heads int) *trace.Tensor {
	tokens, width := x.Size(0), x.Size(1)
	qkv := x.LayerNorm(l.ln1w, l.ln1b, 1e-5).Dense(l.attnw, l.attnb)
	split := func(i int) *trace.Tensor {
		return qkv.Slice(1, width.Mul(i), width.Mul(i+1)).Reshape(tokens, heads, -1).Transpose(0, 1)
	}
	att := trace.Attention(split(0), split(1), split(2), trace.AttentionOptions{Causal: true})
	mid := x.Add(att.Transpose(0, 1).Reshape(tokens, -1).Dense(l.projw, l.projb))
	return mid.Add(mid.LayerNorm(l.ln2w, l.ln2b, 1e-5).Dense(l.fcw, l.fcb).GeluTanh().Dense(l.outw, l.outb))
}

func gpt2(in map[string]*trace.Tensor) []*trace.Tensor {
	x := in["wte"].Embedding(in["ids"])
	x = x.Add(in["wpe"].Slice(0, 0, x.Size(0)))
	for i := range 12 {
		p := func(name string) *trace.Tensor { return in[fmt.Sprintf("h%d.%s", i, name)] }
		x = layer{p("ln1.w"), p("ln1.b"), p("attn.w"), p("attn.b"), p("proj.w"), p("proj.b"),
			p("ln2.w"), p("ln2.b"), p("fc.w"), p("fc.b"), p("out.w"), p("out.b")}.block(x, 12)
	}
	return []*trace.Tensor{x.LayerNorm(in["lnf.w"], in["lnf.b"], 1e-5).Linear(in["wte"], nil)}
}

func lstm(in map[string]*trace.Tensor) []*trace.Tensor {
	gates := in["x"].Linear(in["w_ih"], in["b_ih"]).Add(in["h"].Linear(in["w_hh"], in["b_hh"]))
	gate := func(k int) *trace.Tensor { return gates.Slice(1, 512*k, 512*(k+1)) }
	i, f, g, o := gate(0).Sigmoid(), gate(1).Sigmoid(), gate(2).Tanh(), gate(3).Sigmoid()
	c := f.Mul(in["c"]).Add(i.Mul(g))
	return []*trace.Tensor{o.Mul(c.Tanh()), c}
}

func mlp(in map[string]*trace.Tensor) []*trace.Tensor {
	x := in["x"].Linear(in["w0"], in["b0"]).GeluTanh().Linear(in["w1"], in["b1"]).GeluTanh()
	return []*trace.Tensor{x.Linear(in["w2"], in["b2"]).Softmax(1)}
}

// The programs of testdata, written in the API, are the same programs, op for op.
func TestProgramsInTheAPI(t *testing.T) {
	for name, fn := range map[string]func(map[string]*trace.Tensor) []*trace.Tensor{"gpt2": gpt2, "lstm": lstm, "mlp": mlp} {
		t.Run(name, func(t *testing.T) {
			file, err := trace.Read(filepath.Join("..", "testdata", "programs", name+".trace"))
			require.NoError(t, err)
			spec := trace.Spec{Name: name, Facts: file.Func.Facts, Hints: map[string]int64{"B": 3}, Strict: map[string]string{"B": "dynamic"}}
			for _, p := range file.Func.Params {
				spec.Inputs = append(spec.Inputs, trace.Input{Path: p.Name, DType: p.Type.DType, Sizes: p.Type.Shape})
			}
			r, err := trace.Record(spec, func(in []*trace.Tensor, _ []any) ([]*trace.Tensor, error) {
				named := map[string]*trace.Tensor{}
				for i, x := range in {
					named[spec.Inputs[i].Path] = x
				}
				return fn(named), nil
			})
			require.NoError(t, err)
			require.Empty(t, r.Conditions)
			require.Equal(t, bare(file.Func), bare(r.F))
		})
	}
}

// A step of an LSTM of symbolic batch, scanned over a sequence, against a loop of
// steps computed at once.
func TestScannedLSTM(t *testing.T) {
	const hidden, inputs, steps = 3, 2, 4
	gen := func(seed uint64, shape ...int) *tensor.Tensor {
		x, err := tensor.Generate(tensor.Rule{Kind: "normal", Seed: seed, Std: 1}, tensor.F32, shape)
		require.NoError(t, err)
		return x
	}
	in := []*tensor.Tensor{gen(1, steps, 2, inputs), gen(2, 4*hidden, inputs), gen(3, 4*hidden, hidden)}
	type hc struct{ H, C *trace.Tensor }
	step := func(s hc, x, wx, wh *trace.Tensor) hc {
		g := x.Linear(wx, nil).Add(s.H.Linear(wh, nil)).Chunk(4, 1)
		c := g[1].Sigmoid().Mul(s.C).Add(g[0].Sigmoid().Mul(g[2].Tanh()))
		return hc{g[3].Sigmoid().Mul(c.Tanh()), c}
	}
	zero := func(x []*trace.Tensor) hc {
		z := trace.Zeros(tensor.F32, x[0].Size(1), x[2].Size(1))
		return hc{z, z}
	}
	scanned := everyWay(t, func(x []*trace.Tensor) *trace.Tensor {
		_, hs := trace.Scan(zero(x), x[0], func(s hc, x0 *trace.Tensor) (hc, *trace.Tensor) {
			s = step(s, x0, x[1], x[2])
			return s, s.H
		})
		return hs
	}, in...)
	unrolled := everyWay(t, func(x []*trace.Tensor) *trace.Tensor {
		s, hs := zero(x), []*trace.Tensor{}
		for i := range steps {
			s = step(s, x[0].Index(0, i), x[1], x[2])
			hs = append(hs, s.H)
		}
		return trace.Stack(0, hs...)
	}, in...)
	require.NoError(t, tensor.Check(scanned, unrolled, tensor.Exact))
}
