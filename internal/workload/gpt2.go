package workload

import (
	"fmt"
	"slices"

	"jitc"
	"jitc/ir/tensor"
	"jitc/trace"
)

// Config is the size of a GPT-2.
type Config struct {
	Layers, Width, Heads int
	Vocabulary           int // tokens
	Context              int // positions, at most
}

// Small is GPT-2 small: 124 M weights.
var Small = Config{Layers: 12, Width: 768, Heads: 12, Vocabulary: 50257, Context: 1024}

// Tiny is a GPT-2 that an interpreter of machine code can run.
var Tiny = Config{Layers: 2, Width: 64, Heads: 4, Vocabulary: 101, Context: 24}

// Weights are the parameters of a model, in the order of those of the trace
// testdata/programs/gpt2.trace. Matrices lie as [in, out].
type Weights struct {
	Tokens    *jitc.Tensor // [Vocabulary, Width], also the last product's
	Positions *jitc.Tensor // [Context, Width]
	Layers    []Layer
	Last      Norm
	Heads     int
}

// Layer is one block: attention, then two products, each behind a norm.
type Layer struct {
	Before  Norm
	QKV     Dense // Width -> 3*Width
	Project Dense // Width -> Width
	Middle  Norm
	Widen   Dense // Width -> 4*Width
	Narrow  Dense // 4*Width -> Width
}

// Norm is a layer norm's scale and shift, [Width] each.
type Norm struct{ W, B *jitc.Tensor }

// Dense is a product with W[in, out] plus B[out].
type Dense struct{ W, B *jitc.Tensor }

func (n Norm) of(x *jitc.Tensor) *jitc.Tensor  { return x.LayerNorm(n.W, n.B, 1e-5) }
func (d Dense) of(x *jitc.Tensor) *jitc.Tensor { return x.Dense(d.W, d.B) }

// Random makes weights by the seeded rules of testdata/programs/gpt2.trace: with
// Small and f32, those of that program.
func (c Config) Random(dt jitc.DType) (Weights, error) {
	seed, failed := uint64(1), error(nil) // seed 1 is the tokens'
	normal := func(mean, std float64, shape ...int) *jitc.Tensor {
		seed++
		x, err := tensor.Generate(tensor.Rule{Kind: "normal", Mean: mean, Std: std, Seed: seed}, dt, shape)
		if err != nil {
			failed = fmt.Errorf("weights: %w", err)
			return nil
		}
		return jitc.FromHost(x)
	}
	norm := func() Norm { return Norm{normal(1, 0.1, c.Width), normal(0, 0.1, c.Width)} }
	dense := func(in, out int) Dense { return Dense{normal(0, 0.02, in, out), normal(0, 0.02, out)} }
	w := Weights{Heads: c.Heads, Tokens: normal(0, 0.02, c.Vocabulary, c.Width), Positions: normal(0, 0.01, c.Context, c.Width)}
	for range c.Layers {
		w.Layers = append(w.Layers, Layer{Before: norm(), QKV: dense(c.Width, 3*c.Width), Project: dense(c.Width, c.Width),
			Middle: norm(), Widen: dense(c.Width, 4*c.Width), Narrow: dense(4*c.Width, c.Width)})
	}
	w.Last = norm()
	return w, failed
}

// Text are n seeded tokens, i64[batch, n]: with Small, a batch of one and 128 of
// them those of testdata/programs/gpt2.trace.
func (c Config) Text(batch, n int) (*jitc.Tensor, error) {
	x, err := tensor.Generate(tensor.Rule{Kind: "ints", Hi: float64(c.Vocabulary), Seed: 1}, tensor.I64, []int{batch, n})
	if err != nil {
		return nil, err
	}
	return jitc.FromHost(x), nil
}

// all are the places of the weights, in order.
func (w *Weights) all() []**jitc.Tensor {
	out := []**jitc.Tensor{&w.Tokens, &w.Positions}
	for i := range w.Layers {
		l := &w.Layers[i]
		out = append(out, &l.Before.W, &l.Before.B, &l.QKV.W, &l.QKV.B, &l.Project.W, &l.Project.B,
			&l.Middle.W, &l.Middle.B, &l.Widen.W, &l.Widen.B, &l.Narrow.W, &l.Narrow.B)
	}
	return append(out, &w.Last.W, &w.Last.B)
}

// Bytes is what a step must read of the weights: all of them, but of the positions
// next to nothing.
func (w Weights) Bytes() (n int) {
	for _, x := range w.all() {
		n += (*x).Storage().NumBytes()
	}
	return n - w.Positions.Storage().NumBytes()
}

// On has the weights on a device of the engine.
func (w Weights) On(e *jitc.Engine, device string) (Weights, error) {
	w.Layers = slices.Clone(w.Layers)
	return w, bring(e, device, w.all())
}

// attend computes the attention of queries to what the layer's cache holds.
type attend func(layer int, q, k, v *jitc.Tensor) *jitc.Tensor

// blocks are the layers over x[batch, n, Width], and the norm behind them. q, k and
// v have [batch, Heads, n, Width/Heads].
func (w *Weights) blocks(x *jitc.Tensor, attention attend) *jitc.Tensor {
	batch, n, width := x.Size(0), x.Size(1), x.Size(2)
	for i, l := range w.Layers {
		parts := l.QKV.of(l.Before.of(x)).Chunk(3, 2)
		for k, p := range parts {
			parts[k] = p.Reshape(batch, n, w.Heads, -1).Permute(0, 2, 1, 3)
		}
		y := attention(i, parts[0], parts[1], parts[2]).Permute(0, 2, 1, 3).Reshape(batch, n, width)
		x = x.Add(l.Project.of(y))
		x = x.Add(l.Narrow.of(l.Widen.of(l.Middle.of(x)).GeluTanh()))
	}
	return w.Last.of(x)
}

// logits are those of the next token, [..., Vocabulary].
func (w *Weights) logits(x *jitc.Tensor) *jitc.Tensor { return x.Linear(w.Tokens, nil) }

// Forward is the model over whole texts, i64[batch, n]: the logits at every place,
// [batch, n, Vocabulary].
func Forward(w *jitc.Frozen[Weights], text *jitc.Tensor) *jitc.Tensor {
	logits, _ := w.Value().read(text)
	return logits
}

// read is Forward, with the keys and values of every layer.
func (w Weights) read(text *jitc.Tensor) (*jitc.Tensor, Cache) {
	var c Cache
	x := w.Tokens.Embedding(text).Add(w.Positions.Narrow(0, 0, text.Size(1)))
	y := w.blocks(x, func(_ int, q, k, v *jitc.Tensor) *jitc.Tensor {
		c.K, c.V = append(c.K, k), append(c.V, v)
		return jitc.Attention(q, k, v, trace.AttentionOptions{Causal: true})
	})
	return w.logits(y), c
}
